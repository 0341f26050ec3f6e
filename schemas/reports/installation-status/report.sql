SELECT
    meters.smi_status,
    meters.user_id,
    meters.pertains_as,
    meters.device_id,
    meters.device_type,
    meters.esme_variant,
    meters.mpxns,
    meters.smi_status_since,
    meters.commissioned_at,
    meters.hub_device_id,
    hubs.csp_region
FROM pertaining_devices AS meters
LEFT JOIN (
    SELECT user_id, device_id, csp_region FROM pertaining_devices WHERE device_type = 'CHF'
) AS hubs
    ON hubs.user_id = meters.user_id AND hubs.device_id = meters.hub_device_id
WHERE meters.device_type IN ('ESME', 'GSME')
    AND ($device_type IS NULL OR meters.device_type = $device_type)
    AND ($smi_status IS NULL OR meters.smi_status = $smi_status)
    AND ($region IS NULL OR hubs.csp_region = $region)
