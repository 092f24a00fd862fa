#!/usr/bin/env python3
"""Lets Schemathesis loose on both sites, as an administrator and as a user.

It installs Schemathesis into .cache, starts `sallyport dev` on a folder and on ports of its own, logs in, and sends each
operation of /openapi.json what the description allows and what it does not. No answer may be a fault, and none may differ
from the description: status, media type, headers, body. Two minutes in all; then everything is stopped and removed.
Needs Python 3.10 or newer with venv, and bin/sallyport (`make build`).
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

VERSION = "4.32.5"  # of Schemathesis
ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".cache" / f"schemathesis-{VERSION}"
SECONDS = int(os.environ.get("TEST_API_SECONDS", "35"))  # for each of the three runs
# One worker: with two, Schemathesis now and then trips over its own threads.
CHECKS = ",".join([
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "allow_header_conformance", "unsupported_method", "ignored_auth",
])


def say(text):
    print(f"test-api: {text}", flush=True)


def installed():
    """Returns the program, which is installed if it is missing."""
    program = VENV / "bin" / "schemathesis"
    if not program.exists():
        say(f"installing Schemathesis {VERSION} into {VENV.relative_to(ROOT)}")
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", f"schemathesis=={VERSION}"], check=True)
    return program


def started(data, log):
    """Starts both sites and returns the process and what it says of them."""
    sites = subprocess.Popen(
        [ROOT / "bin" / "sallyport", "dev", "--data", data, "--request-port", "0", "--response-port", "0", "-o", "json"],
        stdout=subprocess.PIPE, stderr=log, start_new_session=True)
    line = sites.stdout.readline()
    if not line:
        sites.wait()
        raise SystemExit("test-api: the sites did not start:\n" + pathlib.Path(log.name).read_text())
    return sites, json.loads(line)


def stopped(sites):
    if sites.poll() is None:
        sites.send_signal(signal.SIGINT)
        try:
            sites.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(sites.pid, signal.SIGKILL)
            sites.wait()


def token(url, account):
    body = json.dumps({"username": account["username"], "password": account["password"]}).encode()
    request = urllib.request.Request(url + "/auth/login", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["access_token"]


def described(url, site, where):
    """Writes down what the site says of itself, without the methods that the other one serves: here they are refused."""
    other = {"core": "request", "field": "response"}[site]
    with urllib.request.urlopen(url + "/openapi.json", timeout=30) as answer:
        whole = json.load(answer)
    for path, methods in list(whole["paths"].items()):
        for name in [n for n, m in methods.items() if isinstance(m, dict) and m.get("x-site") == other]:
            del methods[name]
        if not any(isinstance(m, dict) for m in methods.values()):
            del whole["paths"][path]
    file = where / f"{site}.json"
    file.write_text(json.dumps(whole))
    return file


def run(program, url, site, account, bearer, where):
    """Runs Schemathesis on one site as one account; returns whether all was well."""
    file = described(url, site, where)
    say(f"{site} as {account['username']} ({account['role']}), {SECONDS} s: {url}")
    return subprocess.run(
        [program, "--config-file", where / "schemathesis.toml", "run", file, "--url", url, "--header", f"Authorization: Bearer {bearer}",
         "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-time", str(SECONDS),
         "--workers", "1", "--seed", "1", "--no-shrink", "--request-timeout", "20", "--suppress-health-check", "all", "--warnings", "off",
         "--continue-on-failure", "--max-failures", "50", "--no-color"],
        cwd=where).returncode == 0


def main():
    begun = time.monotonic()
    program = installed()
    where = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-test-api."))
    os.chmod(where, 0o711)  # PostgreSQL's own account goes through it when we are root
    (where / "schemathesis.toml").touch()
    sites, good = None, False
    try:
        with open(where / "sites.log", "w") as log:
            sites, told = started(where / "data", log)
        runs = [("core", "admin"), ("field", "wide"), ("field", "admin")]
        accounts = {a["username"]: a for a in told["accounts"]}
        urls = {name: s["url"] for name, s in told["sites"].items()}
        bearers = [token(urls[site], accounts[name]) for site, name in runs]
        results = [run(program, urls[site], site, accounts[name], bearer, where) for (site, name), bearer in zip(runs, bearers)]
        good = all(results) and sites.poll() is None
    finally:
        if sites:
            stopped(sites)
        if good:
            shutil.rmtree(where, ignore_errors=True)
    took = time.monotonic() - begun
    if not good:
        say(f"FAILED after {took:.0f} s; what the sites logged is in {where}/sites.log")
        return 1
    say(f"all passed in {took:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
