"""Asks pip-audit about installed packages: `python .ci/audit.py PIP_AUDIT SITE_PACKAGES`.

Exit code 1 where one has a known vulnerability. Where no advisory service can be reached, or one
that knows none of the packages answers, nothing was audited: that is said, and the exit code is 0.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SECONDS = 120
"""Most time that all the questions together may take."""


def audit(program: str, site: str) -> tuple[int, str]:
    """Run pip-audit on a folder of installed packages.

    Args:
        program: Path of pip-audit.
        site: The folder.

    Returns:
        The exit code, and what there is to say.
    """
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        argv = [program, "--path", site, "--timeout", "10", "--progress-spinner", "off"]
        argv += ["--format", "json", "--output", str(report)]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return 0, f"not audited: the advisory service did not answer within {SECONDS} s"
        if not report.is_file():  # it is written last, and only if every question was answered
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
            return 0, f"not audited: {reason}"
        return judge(json.loads(report.read_text(encoding="utf-8")))


def judge(report: dict[str, Any]) -> tuple[int, str]:
    """Read pip-audit's report, which takes a package that the service does not know for harmless.

    Args:
        report: What it writes as JSON.

    Returns:
        The exit code, and what there is to say.
    """
    packages = report["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        return 0, f"not audited: the service that answers knows none of {len(packages)} packages"
    found = [
        f"{package['name']} {package['version']}: {hole['id']},"
        f" mended in {', '.join(hole['fix_versions']) or 'no release'}"
        for package in asked
        for hole in package["vulns"]
    ]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    lines = [f"{len(asked)} packages audited, {len(found)} known vulnerabilities", *found]
    if unknown:
        lines.append(f"not known to the service: {', '.join(unknown)}")
    return (1 if found else 0), "\n".join(lines)


if __name__ == "__main__":
    code, said = audit(*sys.argv[1:])
    print(said)
    sys.exit(code)
