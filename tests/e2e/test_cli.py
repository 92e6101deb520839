# SPDX-License-Identifier: Apache-2.0
"""The frame of the command: help, bad input, settings and where they come from, closed descriptors, the manual."""
import json
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LONG = "x" * 201


def assert_refused(result, code, *parts):
    assert result.returncode == code, result
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("tenure"), result.stderr
    for part in parts:
        assert part in lines[0], lines[0]


def verbs(cli):
    return re.findall(r"^  ([a-z]+)  +\S", cli.run("--help").stdout, re.MULTILINE)


def options(cli, verb):
    return re.findall(r"^  (?:-\w, )?--([a-z-]+)", cli.run(verb, "--help").stdout, re.MULTILINE)


def test_help_lists_the_verbs_and_each_verb_explains_itself(cli):
    found = verbs(cli)
    assert {"run", "campaign", "status", "list", "watch", "resign", "transfer", "guard", "timing", "doctor",
            "version"} <= set(found)
    for verb in found:
        result = cli.run(verb, "--help")
        assert result.returncode == 0 and result.stderr == ""
        assert result.stdout.startswith(f"usage: tenure {verb}")
        assert "\noptions:\n" in result.stdout and "--help" in result.stdout
        assert f"\n  tenure {verb}" in result.stdout, "an example"
        assert cli.run("help", verb).stdout == result.stdout
        assert all(len(line) <= 120 for line in result.stdout.splitlines())


def test_help_goes_to_stderr_when_it_was_not_asked_for(cli):
    result = cli.run()
    assert result.returncode == 64 and result.stdout == "" and "usage:" in result.stderr


def test_version_is_told_for_people_and_programs(cli):
    assert re.fullmatch(r"tenure \d+\.\d+\.\d+\n", cli.run("version").stdout)
    assert cli.run("--version").stdout == cli.run("version").stdout
    assert cli.json("version")["version"] in cli.run("version").stdout


@pytest.mark.parametrize("arguments, parts", [
    (["stauts"], ["unknown verb 'stauts'", "did you mean 'status'?"]),
    (["frobnicate"], ["unknown verb 'frobnicate'", "tenure --help"]),
    (["--store", "file:/x", "status"], ["--store", "before the verb"]),
    (["help", "nothing"], ["unknown verb 'nothing'"]),
    (["status", "--stroe", "x"], ["unknown option '--stroe': did you mean --store? See 'tenure status --help'"]),
    (["status", "-x"], ["unknown option '-x'"]),
    (["status", "--store"], ["--store needs a value"]),
    (["status", "a", "b"], ["'b' is one word too many"]),
    (["status", "-o", "xml"], ["json|table"]),
    (["status", "--log-level", "loud"], ["--log-level"]),
    (["watch"], ["ELECTION is missing"]),
    (["run", "job"], ["the command is missing"]),
    (["run", "job", "sleep", "1"], ["'sleep' is one word too many", "--"]),
    (["run", "job", "--wait", "10", "--", "true"], ["bad --wait '10'", "10s"]),
    (["run", "job", "--wait", "-1s", "--", "true"], ["bad --wait '-1s'"]),
    (["run", "job", "--grace", "forever", "--", "true"], ["bad --grace 'forever'"]),
    (["run", "job", "--priority", "65536", "--", "true"], ["from 0 to 65535"]),
    (["run", "job", "-E", "256", "--", "true"], ["from 0 to 255"]),
    (["run", "job", "--containment", "strong", "--", "true"], ["kernel|cgroup|weak"]),
    (["campaign", "job", "--ttl", "1.5"], ["bad --ttl '1.5'"]),
    (["transfer", "job"], ["--to is missing"]),
])
def test_bad_usage_is_refused_in_one_line_that_says_what_and_how(cli, arguments, parts):
    assert_refused(cli.run(*arguments), 64, *parts)


@pytest.mark.parametrize("verb", [["status"], ["watch"], ["campaign"], ["resign"], ["transfer", "--to", "a"],
                                  ["run"]])
@pytest.mark.parametrize("name, why", [
    ("", "empty"), (LONG, "longer than 200"), ("_x", "reserved"), (".x", "letter or a digit"),
    ("-x", "letter or a digit"), ("a..b", "'..'"), ("a/b", "only letters"), ("a b", "only letters"),
    ("a\n", "only letters"), ("é", "letter or a digit"), ("../x", "letter or a digit"),
])
def test_election_names_of_every_bad_kind_are_refused(cli, verb, name, why):
    words = verb + (["--", "true"] if verb == ["run"] else [])
    # A name that looks like an option must come after "--"; where a command follows it can't be given at all.
    if name.startswith("-"):
        words, why = (["run", name, "--", "true"], "unknown option") if verb == ["run"] else (verb + ["--", name], why)
    else:
        words = words[:1] + [name] + words[1:]
    assert_refused(cli.run(*words), 64, why)
    assert not os.path.exists(cli.store_directory)


@pytest.mark.parametrize("url, why", [
    ("", "must begin with"), ("/var/lib", "must begin with"), ("file", "must begin with"), ("file:", "missing"),
    ("file://host/dir", "no host"), ("file:/%zz", "hexadecimal"), ("file:/x?volatile", "key=value"),
    ("file:/x?a=1&a=2", "twice"), ("file:/x?volatile=maybe", "volatile"), ("file:/x?colour=red", "colour"),
    ("file:/" + "x" * 5000, "longer"), ("nosuch:/x", "unknown store 'nosuch'"), ("etcd://a:1", "file, quorum"),
])
def test_store_urls_that_are_malformed_or_unknown_are_refused(cli, url, why):
    assert_refused(cli.run("list", "--store", url), 64, why)
    assert_refused(cli.run("run", "job", "--store", url, "--", "true"), 64, why)


@pytest.mark.parametrize("candidate, why", [
    ("x" * 65, "longer than 64"), ("a b", "space"), ("a/b", "'/'"), ("a\x01", "control"), (b"\xff", "UTF-8"),
    ("", "empty"),
])
def test_bad_ids_are_refused(cli, candidate, why):
    assert_refused(cli.run("campaign", "job", "--id", candidate), 64, "bad id", why)


def test_a_value_that_is_too_long_is_refused(cli):
    assert_refused(cli.run("campaign", "job", "--value", "x" * 4097), 64, "4096")
    assert_refused(cli.run("run", "job", "--value", "x" * 4097, "--", "true"), 64, "4096")


@pytest.mark.parametrize("name, value", [
    ("TENURE_TTL", "10"), ("TENURE_LOG_LEVEL", "loud"), ("TENURE_LOG_FORMAT", "xml"), ("TENURE_STORE", "nosuch:x"),
    ("TENURE_ID", "a b"),
])
def test_bad_variables_are_refused(cli, name, value):
    result = cli.run("list", env={name: value})
    assert result.returncode == 64 and len(result.stderr.splitlines()) == 1


def write(directory, text):
    path = os.path.join(directory, "t.ini")
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


@pytest.mark.parametrize("text, line, why", [
    ("[tenure]\nstroe = file:/x\n", 2, "did you mean 'store'?"),
    ("[tenure]\n\n[voters]\n", 3, "unknown section"),
    ("id = a\n", 1, "before any section"),
    ("[tenure]\nnonsense\n", 2, "neither"),
    ("[tenure]\nid = a\nid = b\n", 3, "twice"),
    ("[tenure]\nttl = 10\n", 2, "bad ttl"),
    ("[tenure]\nid = " + "x" * 200 + "\n", 2, "190"),
    ("[tenure]\nstore = file://x\n", 2, "malformed store URL"),
])
def test_faults_of_the_configuration_name_file_and_line(cli, text, line, why):
    path = write(cli.directory, text)
    assert_refused(cli.run("list", "--config", path), 78, f"{path}:{line}: ", why)


def test_a_configuration_that_cannot_be_read_is_refused(cli):
    assert_refused(cli.run("list", "--config", "/nonexistent/t.ini"), 78, "/nonexistent/t.ini")
    assert_refused(cli.run("list", "--config", cli.directory), 78, cli.directory)


def test_an_unknown_store_in_the_file_is_a_fault_of_the_configuration(cli):
    path = write(cli.directory, "[tenure]\nstore = nosuch:/x\n")
    assert_refused(cli.run("list", "--config", path, env={"TENURE_STORE": None}), 78, "nosuch")


def store_of(cli, *arguments, **kwargs):
    rows = {row["name"]: row for row in cli.json("doctor", *arguments, **kwargs)}
    return rows["store"]["detail"]


def test_flags_win_over_variables_and_variables_over_the_file(cli):
    here = cli.directory
    path = write(here, f"[tenure]\nstore = file:{here}/from-file\n")
    assert store_of(cli, "--config", path, "--store", f"file:{here}/flag") == f"file:{here}/flag"
    assert store_of(cli, "--config", path) == cli.store
    assert store_of(cli, "--config", path, env={"TENURE_STORE": None}) == f"file:{here}/from-file"
    assert store_of(cli, "--config", path, env={"TENURE_STORE": ""}) == f"file:{here}/from-file"


def test_a_relative_store_is_made_absolute(cli):
    assert store_of(cli, "--store", "file:rel", cwd=cli.directory) == f"file:{os.path.realpath(cli.directory)}/rel"


def test_the_default_store_is_in_the_state_directory_of_a_user_and_global_for_root(cli):
    state = os.path.join(cli.directory, "state")
    assert store_of(cli, env={"TENURE_STORE": None}) == "file:/var/lib/tenure"
    assert not os.path.exists("/var/lib/tenure") or os.path.isdir("/var/lib/tenure")
    os.chmod(cli.directory, 0o755)
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    for env, wanted in (({"XDG_STATE_HOME": state}, f"file:{state}/tenure"),
                        ({"XDG_STATE_HOME": "relative"}, f"file:{cli.directory}/.local/state/tenure"),
                        ({}, f"file:{cli.directory}/.local/state/tenure")):
        result = cli.run("doctor", "-o", "json", env={"TENURE_STORE": None, **env}, cwd="/", **nobody)
        rows = {row["name"]: row for row in json.loads(result.stdout)}
        assert rows["store"]["detail"] == wanted
    result = cli.run("list", env={"TENURE_STORE": None, "HOME": None}, cwd="/", **nobody)
    assert_refused(result, 64, "no store")


def test_messages_are_json_when_that_is_asked_for(cli):
    result = cli.run("resign", "job", "--log-format", "json")
    assert result.returncode == 64
    record = json.loads(result.stderr)
    assert list(record) == ["at", "level", "component", "text"]
    assert record["level"] == "error" and "nobody leads" in record["text"]


def test_messages_carry_a_priority_when_stderr_is_the_journal(cli):
    read, write_end = os.pipe()
    stat = os.fstat(write_end)
    with os.fdopen(read) as stream:
        cli.run("resign", "job", env={"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}, stderr=write_end)
        os.close(write_end)
        assert stream.read().startswith("<3>tenure resign: ")
    assert cli.run("resign", "job", env={"JOURNAL_STREAM": "1:1"}).stderr.startswith("tenure resign: ")


def shell(cli, script):
    return subprocess.run(["sh", "-c", script, "sh", cli.binary], env=cli.env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20, check=False)


def test_output_that_cannot_be_written_is_an_error(cli):
    for script in ('"$1" list -o json >&-', '"$1" list >/dev/full', '"$1" status job -o json >/dev/full',
                   '"$1" --help >&-'):
        result = shell(cli, script)
        assert result.returncode == 74, script
        assert "standard output" in result.stderr


def test_closed_descriptors_are_not_mistaken_for_files(cli):
    result = shell(cli, '"$1" status job -o json <&- 2>&-')
    assert result.returncode == 0 and json.loads(result.stdout)["leader"] is None
    trace = os.path.join(cli.directory, "trace")
    result = shell(cli, f'"$1" campaign job --log-level loud --trace {trace} <&- >&- 2>&-')
    assert result.returncode == 64 and result.stdout == "" and result.stderr == ""
    # With stderr closed, the trace would be the lowest free descriptor, and messages would go into it.
    result = shell(cli, f'"$1" campaign a..b --trace {trace} 2>&- <&-')
    assert result.returncode == 64
    with open(trace, encoding="utf-8") as stream:
        assert stream.read() == ""


def test_a_trace_that_cannot_be_opened_is_a_fault(cli):
    assert_refused(cli.run("campaign", "job", "--trace", "/nonexistent/t"), 74, "/nonexistent/t")


def test_timing_has_a_row_for_each_bound(cli):
    rows = {row["name"]: row for row in cli.json("timing", "--grace", "1500ms")}
    for row in rows.values():
        assert list(row) == ["name", "value", "unit", "verdict", "detail"]
        assert row["verdict"] in ("ok", "weak", "unsafe") and row["detail"]
    assert rows["grace"]["value"] == 1500 and rows["grace"]["unit"] == "ms"
    assert rows["ttl"]["value"] is None
    assert {row["name"]: row for row in cli.json("timing")}["grace"]["value"] == 2000
    table = cli.run("timing").stdout.splitlines()
    assert table[0].split() == ["CHECK", "VALUE", "VERDICT", "DETAIL"] and len(table) == len(rows) + 1


def test_doctor_looks_at_everything_and_leaves_nothing_behind(cli):
    rows = {row["name"]: row for row in cli.json("doctor")}
    assert {"tenure", "kernel", "boot-time clock", "clock rate", "/proc", "time namespace", "PID namespace",
            "cgroup v2", "containment", "SCHED_FIFO", "watchdog", "inotify instances", "open files", "store",
            "store's directory", "store's file system"} <= set(rows)
    assert rows["containment"]["value"] in ("kernel", "cgroup", "weak")
    assert not os.path.exists(cli.store_directory)


def test_doctor_calls_a_store_in_memory_unsafe(cli):
    result = cli.run("doctor", "--store", "file:/dev/shm/tenure-test", "-o", "json")
    assert result.returncode == 78
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["store's file system"]["verdict"] == "unsafe" and "tmpfs" in rows["store's file system"]["detail"]


def manual(verb):
    with open(os.path.join(ROOT, "man", "tenure.1.scd"), encoding="utf-8") as page:
        text = page.read()
    common = text[text.index("# OPTIONS OF SEVERAL VERBS"):text.index("# NAMES")]
    if verb in ("run", "server"):
        with open(os.path.join(ROOT, "man", f"tenure-{verb}.1.scd"), encoding="utf-8") as page:
            return page.read()
    section = re.search(rf"^## {verb}\n(.*?)(?=^##? )", text, re.MULTILINE | re.DOTALL)
    assert section, f"the manual has no section for {verb}"
    return section.group(1) + common


def test_the_manual_has_every_verb_and_every_option(cli):
    for verb in verbs(cli):
        text = manual(verb)
        for option in options(cli, verb):
            assert f"*--{option}*" in text, f"the manual does not tell of {verb} --{option}"


def test_the_manual_has_every_error_of_the_library():
    with open(os.path.join(ROOT, "include", "tenure", "tenure.h"), encoding="utf-8") as header:
        rows = re.findall(r'X\((\w+), *(-\d+), *"([^"]*)"\)', header.read())
    with open(os.path.join(ROOT, "man", "tenure.3.scd"), encoding="utf-8") as page:
        text = page.read()
    with open(os.path.join(ROOT, "man", "tenure.1.scd"), encoding="utf-8") as page:
        exits = page.read()
    assert len(rows) > 20
    for name, value, meaning in rows:
        assert f"|  TENURE_{name}\n:  {value}\n:  {meaning}\n" in text
        assert re.search(rf"\b{name}\b", exits[exits.index("# EXIT STATUS"):]), name


@pytest.mark.parametrize("page", ["tenure.1", "tenure-run.1", "tenure-server.1", "tenure.3"])
def test_the_manual_can_be_built(page):
    with open(os.path.join(ROOT, "man", page + ".scd"), encoding="utf-8") as source:
        result = subprocess.run(["scdoc"], stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                check=False)
    assert result.returncode == 0 and result.stderr == "" and ".TH" in result.stdout


def complete(cli, *words):
    """What bash would offer for the last of these words."""
    script = os.path.join(ROOT, "packaging", "tenure.bash-completion")
    program = f'source {script}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tenure; printf "%s\\n" "${{COMPREPLY[@]}}"'
    result = subprocess.run(["bash", "-c", program, "bash", cli.binary, *words], env=cli.env, cwd=cli.directory,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert result.stderr == ""
    return [line for line in result.stdout.splitlines() if line]


def test_bash_offers_what_the_table_has(cli):
    assert set(verbs(cli)) <= set(complete(cli, ""))
    assert complete(cli, "tr") == ["transfer"]
    assert complete(cli, "status", "--ou") == ["--output"]
    assert complete(cli, "status", "-o", "") == ["json", "table"]
    assert complete(cli, "run", "job", "--containment", "k") == ["kernel"]
    assert complete(cli, "run", "job", "--wait", "f") == ["forever"]
    for verb in verbs(cli):
        assert {"--" + option for option in options(cli, verb)} <= set(complete(cli, verb, "--"))
    write(cli.directory, "")
    assert complete(cli, "list", "--config", "t.") == ["t.ini"]
    assert "true" in complete(cli, "run", "job", "--", "tru")
