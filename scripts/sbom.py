#!/usr/bin/env python3
"""Writes what the gridtrail command is made of as a CycloneDX bill of materials: `sbom.py FILE`.

What counts is what Cargo would compile into the command for the machine that it is built for, what runs while it is
compiled, and what the pages of the console are made of, which the command holds. Test tools are not in it. The file is held against the schema before it is written.
"""

import base64
import collections
import json
import pathlib
import subprocess
import sys
import tomllib

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMAND = "gridtrail"


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def graph():
    """The packages that the command is made of, by id, what each needs, and those that only its compilation runs."""
    host = next(line.split()[1] for line in cargo("version", "--verbose").splitlines() if line.startswith("host:"))
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--locked", "--filter-platform", host))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = next(package["id"] for package in packages.values() if package["name"] == COMMAND)
    # The metadata are of the whole workspace, with features that only tests ask for.
    tree = cargo("tree", "--locked", "-p", COMMAND, "-e", "normal,build", "--prefix", "none", "--format", "{p}")
    compiled = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    needs, linked, waiting = {}, set(), collections.deque([(root, True)])
    while waiting:
        package, is_linked = waiting.popleft()
        if package in linked or (package in needs and not is_linked):
            continue
        if is_linked and not is_macro(packages[package]):
            linked.add(package)
        needed = needs.setdefault(package, set())
        for dependency in nodes[package]["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
            other = packages[dependency["pkg"]]
            if kinds & {None, "build"} and (other["name"], f"v{other['version']}") in compiled:
                needed.add(dependency["pkg"])
                waiting.append((dependency["pkg"], package in linked and None in kinds))
    return root, packages, needs, linked


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def checksums():
    """The SHA-256 of each crate, as Cargo.lock has it."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    return {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}


def component(package, checksum, is_linked):
    made = Component(
        type=ComponentType.APPLICATION if package["name"] == COMMAND else ComponentType.LIBRARY,
        name=package["name"],
        version=package["version"],
        # Two versions of one crate are two components.
        bom_ref=f"{package['name']}@{package['version']}",
        purl=PackageURL("cargo", name=package["name"], version=package["version"]) if package["source"] else None,
        scope=ComponentScope.REQUIRED if is_linked else ComponentScope.EXCLUDED,
        description=package["description"],
    )
    if package["license"]:
        # Cargo once let a slash stand for OR.
        made.licenses.add(LicenseFactory().make_from_string(package["license"].replace("/", " OR ")))
    if checksum:
        made.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=checksum))
    if package["links"]:
        made.properties.add(Property(name="cargo:links", value=package["links"]))
    return made


def pages():
    """What the pages of the console are made of, as their lock file has it: no tools, and nothing that is left out where it cannot be had."""
    lock = json.loads((ROOT / "console/package-lock.json").read_text(encoding="utf-8"))["packages"]
    for path, package in lock.items():
        if path and not package.get("dev") and not package.get("optional"):
            yield path.split("node_modules/")[-1], package


def page_component(name, package):
    group, _, bare = name.rpartition("/")
    made = Component(
        type=ComponentType.LIBRARY,
        group=group or None,
        name=bare,
        version=package["version"],
        bom_ref=f"npm:{name}@{package['version']}",
        purl=PackageURL("npm", namespace=group or None, name=bare, version=package["version"]),
        scope=ComponentScope.REQUIRED,
    )
    if package.get("license"):
        made.licenses.add(LicenseFactory().make_from_string(package["license"]))
    algorithm, _, digest = package["integrity"].partition("-")
    assert algorithm == "sha512", name
    made.hashes.add(HashType(alg=HashAlgorithm.SHA_512, content=base64.b64decode(digest).hex()))
    return made


def bill():
    root, packages, needs, linked = graph()
    sums = checksums()
    components = {
        package: component(packages[package], sums.get((packages[package]["name"], packages[package]["version"])),
                           package in linked)
        for package in needs
    }
    bom = Bom()
    bom.metadata.component = components[root]
    bom.components.update(made for package, made in components.items() if package != root)
    for package, needed in needs.items():
        bom.register_dependency(components[package], [components[other] for other in needed])
    of_pages = [page_component(name, package) for name, package in pages()]
    bom.components.update(of_pages)
    holds = next(made for package, made in components.items() if packages[package]["name"] == "gridtrail-console")
    bom.register_dependency(holds, of_pages)
    return bom


def main():
    text = JsonV1Dot6(bill()).output_as_string(indent=2)
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"the bill of materials does not fit its schema: {wrong}")
    target = pathlib.Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n", encoding="utf-8")
    print(f"{target}: {len(json.loads(text)['components'])} components")


if __name__ == "__main__":
    main()
