SELECT
    device_id,
    gas_proxy_device_id,
    user_id,
    pertains_as,
    smi_status,
    smi_status_since,
    commissioned_at,
    device_model,
    firmware_version,
    han_variant,
    wan_technology_type,
    csp_region,
    unattached_since,
    round(unattached_ms / 86400000.0, 3) AS days_without_devices,
    last_device_ids
FROM (
    SELECT
        *,
        CAST(CAST($made_at AS TIMESTAMPTZ) AS BIGINT) / 1000000 - CAST(unattached_since AS BIGINT) AS unattached_ms
    FROM unattached_hubs
) AS hubs
WHERE unattached_ms >= $days_min * 86400000
    AND ($smi_status IS NULL OR smi_status = $smi_status)
    AND ($region IS NULL OR csp_region = $region)
