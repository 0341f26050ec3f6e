"""What the command is made of, and whether a release says so."""

import json
import os
import pathlib
import subprocess
import tomllib

ROOT = pathlib.Path(__file__).parents[2]


def test_the_bill_of_materials_names_what_the_command_is_made_of(stage):
    """Each crate that Cargo compiles into the command, and each package of its pages, with its version and checksum, and none that only tests need."""
    path = stage.path("gridtrail.cdx.json")
    subprocess.run([ROOT / "scripts/sbom", path], check=True, stdout=subprocess.DEVNULL, env=os.environ)
    bill = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "gridtrail")
    tree = subprocess.run(
        ["cargo", "tree", "--locked", "-p", "gridtrail", "-e", "normal,build", "--prefix", "none", "--format", "{p}"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout
    wanted = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    of_pages = [part for part in bill["components"] if part.get("purl", "").startswith("pkg:npm/")]
    named = {(part["name"], f"v{part['version']}"): part for part in bill["components"] if part not in of_pages}
    assert set(named) == wanted - {("gridtrail", f"v{bill['metadata']['component']['version']}")}
    assert "moto" not in tree and not any(name == "proptest" for name, _ in named)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    for package in lock["package"]:
        part = named.get((package["name"], f"v{package['version']}"))
        if part and "checksum" in package:
            assert part["hashes"] == [{"alg": "SHA-256", "content": package["checksum"]}], package["name"]
            assert part["purl"] == f"pkg:cargo/{package['name']}@{package['version']}".replace("+", "%2B"), part["purl"]
            assert part["licenses"], package["name"]
    # What is only run while it is compiled is told from what is in it.
    scopes = {part["name"]: part["scope"] for part in bill["components"]}
    assert (scopes["object_store"], scopes["proc-macro-error2"]) == ("required", "excluded")
    wanted = json.loads((ROOT / "console/package.json").read_text(encoding="utf-8"))
    found = {"/".join(filter(None, (part.get("group"), part["name"]))): part for part in of_pages}
    for name, version in wanted["dependencies"].items():
        assert found[name]["version"] == version and found[name]["hashes"][0]["alg"] == "SHA-512" and found[name]["licenses"], name
    assert not set(wanted["devDependencies"]) & set(found), "tools are not in it"
