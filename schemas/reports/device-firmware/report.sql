SELECT
    user_id,
    pertains_as,
    device_id,
    device_type,
    manufacturer,
    device_model,
    firmware_version,
    smets_chts_version,
    smi_status,
    smi_status_since,
    mpxns,
    csp_region
FROM pertaining_devices
WHERE ($device_type IS NULL OR device_type = $device_type)
    AND ($smi_status IS NULL OR smi_status = $smi_status)
    AND ($manufacturer IS NULL OR manufacturer = $manufacturer)
    AND ($firmware_version IS NULL OR firmware_version = $firmware_version)
