#!/usr/bin/env python3
"""Runs every test_* of the modules beside it on one small lake, and closes with `N passed, N failed`."""

import faulthandler
import pathlib
import signal
import sys
import tempfile
import traceback

import test_access_log
import test_clients
import test_delta
import test_documentation
import test_export
import test_logins
import test_report_jobs
import test_reports
import test_s3
import test_sql
import test_supply_chain
from stage import Stage


# The longest of them takes a fifth of it where nothing else runs.
SECONDS_MAX = 300


def end_it(*_):
    raise TimeoutError(f"not done after {SECONDS_MAX} s")


def tests():
    modules = (
        test_delta, test_access_log, test_clients, test_documentation, test_export, test_logins, test_report_jobs, test_reports, test_s3, test_sql,
        test_supply_chain,
    )
    for module in modules:
        for name, function in vars(module).items():
            if name.startswith("test_"):
                yield f"{module.__name__}.{name}", function


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    passed = failed = 0
    signal.signal(signal.SIGALRM, end_it)
    with tempfile.TemporaryDirectory(prefix="gridtrail-python-") as folder, Stage(binary, folder) as stage:
        for name, function in tests():
            signal.alarm(SECONDS_MAX)
            # What waits outside Python hears no alarm: then all ends, and says where.
            faulthandler.dump_traceback_later(SECONDS_MAX + 60, exit=True)
            try:
                outcome = function(stage)
                passed += 1
                print(f"test {name} ... {outcome or 'ok'}")
            except Exception:
                failed += 1
                print(f"test {name} ... FAILED")
                traceback.print_exc(file=sys.stdout)
            signal.alarm(0)
            faulthandler.cancel_dump_traceback_later()
    print(f"python: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
