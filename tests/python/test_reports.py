"""The standard reports, by the real command, held against plain sums over the generator's truth; workbooks are read by openpyxl."""

import calendar
import collections
import csv
import datetime
import hashlib
import io
import json
import pathlib
import subprocess
import tempfile
import zoneinfo

import openpyxl
import pyarrow.parquet

USER = "90-B3-D5-1F-30-02-00-00"
LONDON = zoneinfo.ZoneInfo("Europe/London")
MONTH = "2026-03"


def instant(text):
    return text and datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def monthly(stage):
    """The Monthly Transaction Report, as plain Python has it: a row each of User, variant and mode."""
    groups = {}
    for trail in stage.truth:
        received = instant(trail["request_received_at"])
        if trail["user_id"] == USER and received.astimezone(LONDON).strftime("%Y-%m") == MONTH:
            groups.setdefault((trail["service_reference_variant"] or "", trail["mode_of_operation"]), []).append(trail)
    rows = {}
    for key, trails in groups.items():
        count = lambda status: sum(trail["status"] == status for trail in trails)
        rows[key] = [len(trails), count("Success"), count("Failure"), count("In Progress")]
    return rows


def report(stage, name, *arguments):
    return stage.run(
        "report", "run", name, "--lake", stage.lake, "--token", stage.token(USER), "--key", stage.path("key.pem"), *arguments
    )


def written(stage, form):
    path = pathlib.Path(stage.path(f"monthly.{form}"))
    if not path.exists():
        report(stage, "monthly-transactions", "--param", f"month={MONTH}", "--format", form, "--output", path)
    return path


COUNTS = ["transactions", "success", "failure", "in_progress"]


def by_key(rows):
    return {
        (row["service_reference_variant"] or "", row["mode_of_operation"]): [int(row[name]) for name in COUNTS] for row in rows
    }


def test_every_form_of_a_report_holds_the_truth(stage):
    expected = monthly(stage)
    assert len(expected) > 20, expected
    with open(written(stage, "csv"), encoding="utf-8", newline="") as file:
        text = file.read()
    assert text.count("\r\n") == len(expected) + 1
    assert by_key(csv.DictReader(io.StringIO(text))) == expected
    document = json.loads(written(stage, "json").read_text(encoding="utf-8"))
    assert by_key(document["rows"]) == expected and document["row_count"] == len(expected)
    table = pyarrow.parquet.read_table(written(stage, "parquet"))
    assert by_key(table.to_pylist()) == expected
    said = json.loads(pyarrow.parquet.read_metadata(written(stage, "parquet")).metadata[b"gridtrail.report"])
    assert said["row_count"] == len(expected) and said["parameters"] == {"month": MONTH}, said
    page = written(stage, "html").read_text(encoding="utf-8")
    assert page.count("<tr>") > len(expected) and "<svg role=\"img\"" in page and "<script" not in page


def test_a_workbook_has_types_filters_and_a_sheet_about_itself(stage):
    expected = monthly(stage)
    book = openpyxl.load_workbook(written(stage, "xlsx"))
    assert book.sheetnames == ["Rows", "About"]
    sheet = book["Rows"]
    names, *rows = sheet.iter_rows(values_only=True)
    rows = [dict(zip(names, row)) for row in rows]
    assert by_key(rows) == expected
    assert sheet.freeze_panes == "A2" and sheet.auto_filter.ref == f"A1:K{len(expected) + 1}", sheet.auto_filter.ref
    assert {type(row["transactions"]) for row in rows} <= {int, float}
    about = dict(row for row in book["About"].iter_rows(values_only=True))
    assert about["Parameters"] == f"month = {MONTH}" and about["Rows"] == str(len(expected)), about
    assert USER in about["Users"] and about["Report"].endswith("version 1"), about


def test_times_of_a_workbook_are_times(stage):
    devices = collections.Counter(trail["device_id"] for trail in stage.truth if trail["user_id"] == USER and trail["device_id"])
    [(device, count)] = devices.most_common(1)
    own = [trail for trail in stage.truth if trail["user_id"] == USER and trail["device_id"] == device]
    own = sorted(instant(trail["request_received_at"]) for trail in own)
    assert len(own) == count > 3
    path = stage.path("device.xlsx")
    report(
        stage, "device-transactions", "--param", f"device_id={device}", "--param", "from=2026-01-01", "--param", "until=2026-12-31",
        "--format", "xlsx", "--output", path,
    )
    names, *rows = openpyxl.load_workbook(path)["Rows"].iter_rows(values_only=True)
    at = names.index("service_request_received_at (UTC)")
    for row, expected in zip(rows, own, strict=True):
        difference = row[at].replace(tzinfo=datetime.timezone.utc) - expected
        assert abs(difference) < datetime.timedelta(milliseconds=1), (row[at], expected)


def test_checksums_stand_beside_a_file_and_it_is_not_replaced(stage):
    path = written(stage, "csv")
    sums = dict(reversed(line.split("  ")) for line in pathlib.Path(f"{path}.sha256").read_text(encoding="utf-8").splitlines())
    assert set(sums) == {path.name, f"{path.name}.about.json"}
    for name, expected in sums.items():
        assert hashlib.sha256((path.parent / name).read_bytes()).hexdigest() == expected, name
    again = subprocess.run(
        [stage.binary, "report", "run", "monthly-transactions", "--lake", stage.lake, "--token", stage.token(USER),
         "--key", stage.path("key.pem"), "--format", "csv", "--output", path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert again.returncode == 5 and "exists" in again.stderr, again


def test_what_is_asked_wrongly_ends_with_its_code(stage):
    stranger = "90-B3-D5-1F-30-09-09-09"
    for arguments, code, part in [
        (["no-such-report"], 3, "there is no report"),
        (["monthly-transactions", "--param", "month=March"], 2, "month is a month"),
        (["monthly-transactions", "--param", "year=2026"], 2, "has no parameter"),
        (["monthly-transactions", "--user-id", stranger], 3, "is not yours"),
        (["device-transactions"], 2, "needs device_id or mpxn"),
        (["monthly-transactions", "--output", stage.path("x")], 2, "a table is for terminals"),
        (["monthly-transactions", "--format", "appendix-aa"], 2, "no report that Users answer"),
        (["quarantined-requests", "--format", "appendix-aa", "--param", "state=Deleted"], 2, "state is given twice"),
    ]:
        ended = subprocess.run(
            [stage.binary, "report", "run", *arguments, "--lake", stage.lake, "--token", stage.token(USER), "--key", stage.path("key.pem")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        assert ended.returncode == code and part in ended.stderr, (arguments, ended)
    answered = report(stage, "quarantined-requests", "--format", "appendix-aa")
    assert answered.startswith("request_id,") and answered.splitlines()[0].endswith(",action"), answered
    named = json.loads(stage.run("report", "list", "--format", "json"))
    described = json.loads(stage.run("report", "describe", named[0]["name"], "--format", "json"))
    assert described["title"] == named[0]["title"] and described["columns"]


DAY = datetime.timedelta(days=1)
MONTHS = {"Monthly": 1, "Quarterly": 3, "Half-Yearly": 6, "Yearly": 12}


def days_of(schedule):
    """The days on which a schedule runs, from its first on."""
    first = datetime.date.fromisoformat(schedule["start_date"])
    for number in range(100_000):
        if schedule["frequency"] not in MONTHS:
            yield first + number * (7 if schedule["frequency"] == "Weekly" else 1) * DAY
            continue
        months = first.year * 12 + first.month - 1 + number * MONTHS[schedule["frequency"]]
        year, month = divmod(months, 12)
        yield datetime.date(year, month + 1, min(first.day, calendar.monthrange(year, month + 1)[1]))


def due_on(day, time):
    """When a run of a day is due: by UTC where the time says so, and otherwise by the clocks of the United Kingdom."""
    zone = datetime.timezone.utc if time and time.endswith("Z") else LONDON
    clock = datetime.time.fromisoformat(time.rstrip("Z")) if time else datetime.time()
    return datetime.datetime.combine(day, clock, zone).astimezone(datetime.timezone.utc)


def next_due(schedule, after):
    created, removed = instant(schedule["created_at"]), instant(schedule["removed_at"])
    after = max(after, created) if created else after
    for day in days_of(schedule):
        due = due_on(day, schedule["execution_start_time"])
        if due > after:
            is_over = schedule["end_date"] and day.isoformat() > schedule["end_date"]
            return None if is_over or removed and removed <= due else due
    raise AssertionError(schedule)


def scheduled(schedules, trails, until):
    """The rows of schedules and of runs without one, as plain Python has them."""
    known = {(one["user_id"], one["dsp_schedule_id"]): one for one in schedules}
    runs, strangers = collections.defaultdict(list), collections.Counter()
    for trail in trails:
        if trail["mode_of_operation"] != "DSP Scheduled" or instant(trail["request_received_at"]) >= until:
            continue
        number = trail["schedule_id"] and int(trail["schedule_id"])
        if (trail["user_id"], number) in known:
            runs[trail["user_id"], number].append(trail)
        else:
            strangers[trail["user_id"], trail["device_id"], trail["service_reference_variant"], number] += 1
    rows = {}
    for key, one in known.items():
        mine = sorted(runs[key], key=lambda run: (instant(run["request_received_at"]), run["response_id"] is None, run["response_id"]))
        over = one["end_date"] and one["end_date"] < "2026-03-01" or one["removed_at"] and instant(one["removed_at"]) < datetime.datetime(2026, 3, 1, tzinfo=LONDON)
        if over and not mine or one["created_at"] and instant(one["created_at"]) >= until:
            continue
        removal = one["removed_at"] and ("DSPScheduleRemoval (%s)" % one["removed_by_alert"] if one["removed_by_alert"] else "Delete Schedule (5.3)")
        rows[key] = [
            one["device_id"], one["service_reference_variant"], one["frequency"], one["start_date"], one["end_date"],
            one["execution_start_time"], one["start_date_offset"], one["end_date_offset"], one["created_request_id"],
            instant(one["created_at"]), instant(one["removed_at"]), removal, next_due(one, until), len(mine),
            mine[-1]["current_status"] if mine else None, instant(mine[-1]["request_received_at"]) if mine else None,
        ]
    return rows, strangers


def test_schedules_are_what_the_generator_says(stage):
    """A region straight into a lake, with its schedules: each is in the report as its truth is, with its runs and when it is due, and no other."""
    with tempfile.TemporaryDirectory(prefix="gridtrail-scheduled-") as folder:
        compare_schedules(stage, pathlib.Path(folder))


def compare_schedules(stage, folder):
    lake, truth, told = (folder / name for name in ("lake", "truth.jsonl", "schedules.jsonl"))
    stage.run(
        "generate", "--lake", lake, "--events", 20_000, "--days", 31, "--one-party", "region", "--schedules",
        "--truth", truth, "--schedules-truth", told,
    )
    lines = lambda path: [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]
    trails, schedules = lines(truth), lines(told)
    users = sorted({one["user_id"] for one in schedules})[:60]
    token = stage.token(",".join(users))
    out = folder / "scheduled.json"
    stage.run(
        "report", "run", "scheduled-service-requests", "--lake", lake, "--token", token, "--key", stage.path("key.pem"),
        "--param", "from=2026-03-01", "--param", "until=2026-03-29", "--format", "json", "--output", out,
    )
    found, strangers = {}, collections.Counter()
    for row in json.loads(pathlib.Path(out).read_text(encoding="utf-8"))["rows"]:
        number = row["dsp_schedule_id"] and int(row["dsp_schedule_id"])
        if row["entry"] == "Runs":
            strangers[row["user_id"], row["device_id"], row["service_reference_variant"], number] += row["runs"]
        elif row["entry"] == "Schedule":
            found[row["user_id"], number] = [
                row["device_id"], row["service_reference_variant"], row["frequency"], row["start_date"], row["end_date"],
                row["execution_start_time"], row["start_date_offset"], row["end_date_offset"], row["request_id"],
                instant(row["created_at"]), instant(row["removed_at"]), row["removal_reason"], instant(row["next_due_at"]), row["runs"],
                row["last_status"], instant(row["last_at"]),
            ]
    until = datetime.datetime(2026, 3, 30, tzinfo=LONDON)
    is_asked = lambda one: one["user_id"] in users
    expected, unknown = scheduled(filter(is_asked, schedules), filter(is_asked, trails), until)
    assert len(expected) > 100 and sum(unknown.values()) > 20, (len(expected), unknown)
    assert found == expected
    assert strangers == unknown
    # One statement of an analyst says the same of what is there now.
    statement = "SELECT count(*) AS all_of_them, count(removed_at) AS removed FROM schedules"
    [row] = json.loads(stage.run(
        "sql", "--lake", lake, "--key", stage.path("key.pem"), "--token", token, "--format", "json", "-c", statement,
    ))
    mine = list(filter(is_asked, schedules))
    assert row == {"all_of_them": len(mine), "removed": sum(one["removed_at"] is not None for one in mine)}, row


def version_before(versions, at):
    return next((one["firmware_version"] for one in versions if instant(one["from"]) <= at and not (one["until"] and instant(one["until"]) <= at)), None)


def test_firmware_is_what_the_generator_says(stage):
    """New firmware of a region: the versions before and after each request, and distributions that failed, as plain Python has them; SQL has the same versions."""
    with tempfile.TemporaryDirectory(prefix="gridtrail-firmware-") as folder:
        compare_firmware(stage, pathlib.Path(folder))


def compare_firmware(stage, folder):
    lake, truth, told = (folder / name for name in ("lake", "truth.jsonl", "firmware.jsonl"))
    stage.run(
        "generate", "--lake", lake, "--events", 20_000, "--premises", 300, "--days", 31, "--one-party", "region", "--inventory", "--firmware",
        "--truth", truth, "--firmware-truth", told,
    )
    lines = lambda path: [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]
    trails, firmware = lines(truth), lines(told)
    versions, failed = collections.defaultdict(list), {}
    for line in firmware:
        if "device_id" in line:
            versions[line["device_id"]].append(line)
        else:
            failed[line["undistributed_request_id"]] = (line["alert_code"], instant(line["alert_at"]))
    users = sorted({trail["user_id"] for trail in trails})[:60]
    mine = [trail for trail in trails if trail["user_id"] in users and trail["service_reference_variant"] in ("11.1", "11.3")]
    starts = lambda trail: instant(trail["execution_at"] or trail["request_received_at"])
    activations = [trail for trail in mine if trail["service_reference_variant"] == "11.3" and trail["command_variant"] != "4"]
    token = stage.token(",".join(users))
    out = folder / "firmware.json"
    stage.run(
        "report", "run", "firmware-activations", "--lake", lake, "--token", token, "--key", stage.path("key.pem"),
        "--param", "from=2026-03-01", "--param", "until=2026-04-30", "--format", "json", "--output", out,
    )
    rows = {(row["request_id"], str(row["command_variant"])): row for row in json.loads(out.read_text(encoding="utf-8"))["rows"]}
    assert len(rows) == len(mine) > 100, (len(rows), len(mine))
    counts = collections.Counter()
    for trail in mine:
        row = rows[trail["request_id"], trail["command_variant"]]
        received, start = instant(trail["request_received_at"]), starts(trail)
        known = versions[trail["device_id"]] if row["other_devices"] == 0 or row["stage"] == "Activation" else []
        before, after = version_before(known, received), None
        if trail["command_variant"] != "4":
            later = [starts(other) for other in activations if other["device_id"] == trail["device_id"] and row["stage"] == "Activation"]
            until = min([start + 31 * DAY, *(at for at in later if at > start)])
            after = next((one for one in known if start <= instant(one["from"]) < until and one["firmware_version"] != before), None)
        expected = [before, after and after["firmware_version"], after and instant(after["from"]), *failed.get(trail["request_id"], (None, None))]
        found = [
            row["version_before"], row["version_after"], instant(row["version_after_from"]), row["distribution_alert_code"],
            instant(row["distribution_alert_at"]),
        ]
        assert found == expected, (trail, row)
        counts.update({"before": before is not None, "after": after is not None, "failed": expected[3] is not None})
    assert all(counts[name] > 3 for name in ("before", "after", "failed")), counts
    statement = "SELECT device_id, value, valid_from, valid_until FROM inventory_history WHERE field = 'Firmware Version'"
    told_by_sql = json.loads(stage.run(
        "sql", "--lake", lake, "--key", stage.path("key.pem"), "--token", token, "--format", "json", "-c", statement,
    ))
    found = {(row["device_id"], row["value"], instant(row["valid_from"]), instant(row["valid_until"])) for row in told_by_sql}
    all_of_them = {
        (one["device_id"], one["firmware_version"], instant(one["from"]), instant(one["until"])) for of in versions.values() for one in of
    }
    assert len(told_by_sql) == len(found)
    # Devices that were removed from the inventory have no rows.
    gone = {device for device, *_ in all_of_them} - {device for device, *_ in found}
    assert found == {one for one in all_of_them if one[0] not in gone} and len(gone) * 10 < len(versions), len(gone)
