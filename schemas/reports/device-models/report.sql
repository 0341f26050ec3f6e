SELECT
    user_id,
    manufacturer,
    device_model,
    device_type,
    smi_status,
    count(*) AS devices
FROM pertaining_devices
WHERE ($device_type IS NULL OR device_type = $device_type)
    AND ($smi_status IS NULL OR smi_status = $smi_status)
    AND ($manufacturer IS NULL OR manufacturer = $manufacturer)
    AND ($device_model IS NULL OR device_model = $device_model)
GROUP BY user_id, manufacturer, device_model, device_type, smi_status
