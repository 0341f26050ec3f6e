"""Every example of the README and of the pages under docs/ runs as printed, in order, on the README's own lake.

An example is an indented block of console lines: "$ " begins a command, which goes on after a backslash, within quotes and to the end of a
here document; what follows is what it prints. What is printed is compared where anything is: "..." stands for any lines or, at the end of a line, for
the rest of it, and times that were taken and rates stand for any. Ports are free ones, for others may use those of the pages.
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
# What does not run here as it is printed, and why: by page and beginning.
LEFT_OUT = {
    ("README.md", "gridtrail completions bash"): "writes into the reader's home; the command's own tests have it",
    ("README.md", "gridtrail --help"): "what it prints is no example",
    ("README.md", "make"): "builds the whole; CI calls it",
    ("docs/anomaly.md", "gridtrail anomaly answer"): "needs a file that a User signed; crates/gridtrail/src/anomaly/answer has it",
    ("docs/api.md", "pip install"): "installs packages, which this run has",
    ("docs/console.md", "gridtrail serve --console --lake data/lake --listen"): "needs DCCKI and an Identity Provider; console/tests has it",
    ("docs/kafka.md", "gridtrail ingest --kafka"): "follows topics of a cluster for ever; tests/tests/it/kafka has it",
    ("docs/kafka.md", "gridtrail publish"): "writes to a cluster; tests/tests/it/kafka has it",
    ("docs/kafka.md", "scripts/kafka"): "needs Java and a download of Kafka; the tests against Kafka call it",
    ("docs/kafka.md", "address=$(scripts/kafka"): "needs Java and a download of Kafka; the tests against Kafka call it",
    ("docs/kafka.md", "kafka-"): "Kafka's own tools, on a cluster of the reader's",
    ("docs/reconciliation.md", "gridtrail reconcile --lake s3:"): "compares with a cluster; tests/tests/it/kafka has it",
    ("docs/identity.md", "gridtrail idp add"): "needs an Identity Provider's metadata and DCCKI; test_logins.py has it",
    ("docs/sql.md", "gridtrail sql --server"): "asks a server of the reader's; test_sql.py has it",
    ("docs/identity.md", "gridtrail serve"): "needs an Identity Provider's metadata and DCCKI; test_logins.py has it",
}
# Commands that are meant to end with another code than 0.
ENDS_WITH = {
    ("docs/freshness.md", "gridtrail freshness --lake data/lake --check"): 7,
    ("docs/reconciliation.md", "gridtrail ingest data/more/late.jsonl"): 9,
}
# A line of an indented block that begins like this is a command, and has to be marked as one.
COMMANDS = re.compile(r"(gridtrail|grpcurl|python3?|pip|openssl|make|scripts/\S+|docker-compose|curl|jq)\b")
PORTS = re.compile(r"127\.0\.0\.1:(8\d{3}|9\d{3})\b")


class Example:
    """One command of a page, and the lines that it is said to print."""

    def __init__(self, page, line, command):
        self.page, self.line, self.command, self.printed = page, line, command, []

    def __repr__(self):
        return f"{self.page}:{self.line}: {self.command}"

    def of(self, table):
        found = [value for (page, start), value in table.items() if page == self.page and self.command.startswith(start)]
        return found[0] if found else None


def examples(page, text):
    """The examples of a page, in order; and lines that look like commands but are not marked as such."""
    found, unmarked = [], []
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.startswith("    "):
            # Blank lines between indented ones are printed, all others end what is printed.
            if line and found:
                found[-1].ended = True
            elif found and not getattr(found[-1], "ended", False):
                found[-1].printed.append("")
            continue
        body = line[4:]
        if body.startswith("$ "):
            example = Example(page, at, body[2:])
            while not is_whole(example.command) and at < len(lines):
                example.command += "\n" + lines[at][4:]
                at += 1
            found.append(example)
        elif found and not getattr(found[-1], "ended", False):
            found[-1].printed.append(body)
        elif COMMANDS.match(body):
            unmarked.append(Example(page, at, body))
    for example in found:
        while example.printed and not example.printed[-1]:
            example.printed.pop()
    return found, unmarked


def is_whole(command):
    here = re.search(r"<<'(\w+)'", command)
    if here:
        return command.endswith("\n" + here[1])
    return not command.endswith("\\") and command.count("'") % 2 == 0


def any_figures(line):
    """A line without what differs from run to run: times taken, and rates."""
    line = re.sub(r"\b\d+(\.\d+)? s\b", "# s", line)
    return re.sub(r"\(\d+ (\w+)/s\)", r"(# \1/s)", line)


def is_printed(expected, actual):
    """Whether lines are as they are said to be."""
    if not expected:
        return not actual
    first, rest = expected[0], expected[1:]
    if first.strip() == "...":
        return any(is_printed(rest, actual[skipped:]) for skipped in range(len(actual) + 1))
    if not actual:
        return False
    wanted, found = any_figures(first), any_figures(actual[0])
    fits = found.startswith(wanted.removesuffix("...")) if wanted.endswith("...") else found == wanted
    return fits and is_printed(rest, actual[1:])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Shell:
    """One shell that runs every example, so that variables and servers last."""

    def __init__(self, binary, folder):
        self.folder = folder
        self.ports = {}
        for name in ("docs", "scripts"):
            (folder / name).symlink_to(ROOT / name)
        tools = folder / "tools"
        tools.mkdir()
        # A link would lose the packages beside the interpreter.
        (tools / "python").write_text(f'#!/usr/bin/env bash\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        (tools / "python").chmod(0o755)
        # A server that is not told where to listen takes the first port of the pages.
        (tools / "gridtrail").write_text(
            f'#!/usr/bin/env bash\nif [ "$1" = serve ] && [[ "$*" != *--listen* ]]; then set -- "$@" --listen 127.0.0.1:{self.port("8471")}; fi\n'
            # And a command that reads a lake asks no server.
            'case " $* " in *" --lake "*) unset GRIDTRAIL_SERVER;; esac\n'
            f'exec "{binary}" "$@"\n',
            encoding="utf-8",
        )
        (tools / "gridtrail").chmod(0o755)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GRIDTRAIL_")}
        environment |= {
            "PATH": f"{tools}:{environment['PATH']}",
            "GRIDTRAIL_SERVER": f"http://127.0.0.1:{self.port('8471')}",
        }
        self.errors = (folder / "errors").open("w+", encoding="utf-8")
        self.bash = subprocess.Popen(
            ["bash"], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
        )

    def port(self, printed):
        if printed not in self.ports:
            self.ports[printed] = free_port()
        return self.ports[printed]

    def with_ports(self, text):
        return PORTS.sub(lambda found: f"127.0.0.1:{self.port(found[1])}", text)

    def run(self, example):
        """The exit code and the lines that a command prints."""
        command = self.with_ports(example.command)
        if command.endswith("&"):
            # It has begun once it says where it is.
            command = (
                f"{{ {command} }} >serving\nuntil [ -s serving ] || ! kill -0 $! 2>/dev/null; do sleep 0.05; done\n"
                "cat serving; [ -s serving ]"
            )
        self.errors.seek(0)
        self.errors.truncate()
        self.bash.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\nends with %s\\n' $?\n")
        self.bash.stdin.flush()
        lines = []
        for line in self.bash.stdout:
            ended = re.fullmatch(r"ends with (\d+)\n", line)
            if ended:
                break
            lines.append(line.rstrip("\n"))
        else:
            raise AssertionError(f"the shell ended at {example}")
        # What stands before the marker ends with a line end, or not: the marker brings one more.
        while lines and not lines[-1]:
            lines.pop()
        return int(ended[1]), lines

    def said(self):
        self.errors.seek(0)
        return self.errors.read()[-2000:]

    def __enter__(self):
        return self

    def __exit__(self, *how):
        self.bash.stdin.write("kill $(jobs -p) 2>/dev/null; wait\n")
        self.bash.stdin.close()
        self.bash.wait(60)


def test_every_example_of_the_documentation_runs(stage):
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    ran, left_out = 0, []
    with tempfile.TemporaryDirectory(prefix="gridtrail-documentation-") as folder, \
            Shell(stage.binary, pathlib.Path(folder)) as shell:
        for page in pages:
            name = str(page.relative_to(ROOT))
            found, unmarked = examples(name, page.read_text(encoding="utf-8"))
            unmarked = [one for one in unmarked if not one.of(LEFT_OUT)]
            assert not unmarked, f"no '$ ' marks them as examples: {unmarked}"
            for example in found:
                needs = "grpcurl" if example.command.startswith("grpcurl") else None
                if example.of(LEFT_OUT) or (needs and not shutil.which(needs)):
                    left_out.append(example)
                    continue
                code, lines = shell.run(example)
                assert code == (example.of(ENDS_WITH) or 0), f"{example}\nends with {code}: {shell.said()}"
                expected = [shell.with_ports(line) for line in example.printed]
                assert not expected or is_printed(expected, lines), "\n".join([
                    f"{example}\nis said to print", *expected, "and prints", *lines, shell.said()
                ])
                ran += 1
    assert ran > 40, f"only {ran} examples were found"
    without_grpcurl = sum(example.command.startswith("grpcurl") for example in left_out)
    return f"skipped: {without_grpcurl} examples of grpcurl, which is not installed" if without_grpcurl else None


def test_what_is_printed_is_compared_but_for_what_differs(stage):
    """Proves that the comparison can fail."""
    printed = ["99 records in 0.3 s (12 records/s): 99 stored", "Row 1", "x", "", "1 row"]
    for expected, fits in [
        (["99 records in 7.0 s (900 records/s): 99 stored", "...", "1 row"], True),
        (["98 records in 0.3 s (12 records/s): 99 stored", "...", "1 row"], False),
        (["99 records ...", "Row 1", "x", "", "1 row"], True),
        (["99 records ...", "Row 2", "..."], False),
        (["..."], True),
        (["...", "2 rows"], False),
    ]:
        assert is_printed(expected, printed) == fits, expected
    found, unmarked = examples("x.md", "a\n\n    $ one \\\n      two\n    out\n\n    more\n\nb\n\n    gridtrail x\n\n    $ cat <<'END'\n    text\n    END\n")
    assert [one.command for one in found] == ["one \\\n  two", "cat <<'END'\ntext\nEND"]
    assert found[0].printed == ["out", "", "more"] and [one.command for one in unmarked] == ["gridtrail x"]
