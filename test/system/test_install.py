"""What `make install` puts down is enough to build with: a small program finds Carom by pkg-config and by
find_package, its headers can be read as C99 to C17 and as C++11 to C++20, and the library exports what they declare."""

import os
import re
import subprocess
import tempfile
import unittest

from programs import DEADLINE

BUILD = os.path.abspath(os.environ.get("CAROM_BUILD", "build"))
SANITIZED = os.environ.get("CAROM_SANITIZE", "") != ""

PROGRAM = r"""
#include <carom.h>
#include <stdio.h>
#include <string.h>

static void answer(carom_record *record, void *data)
{
    (void)data;
    carom_response response = {.status = 204};
    carom_respond(record, &response);
    carom_release(record);
}

int main(void)
{
    carom_service *service = NULL;
    carom_options options = CAROM_OPTIONS_INIT;
    carom_address address;
    options.handler = answer;
    if (carom_service_create(&service, &options) != 0 ||
        carom_service_listen(service, "127.0.0.1:0") != 0 ||
        carom_service_listener(service, 0, &address) != 0 || address.port == 0)
        return 1;
    if (carom_service_destroy(service) != 0 || strcmp(carom_version(), CAROM_VERSION) != 0)
        return 1;
    puts("carom " CAROM_VERSION);
    return 0;
}
"""

HEADERS = """
#include <carom.h>
#include <carom_vm.h>

size_t sizes(void);
size_t sizes(void)
{
    carom_options options = CAROM_OPTIONS_INIT;
    carom_tls_options tls = CAROM_TLS_OPTIONS_INIT;
    carom_websocket_options sockets = CAROM_WEBSOCKET_OPTIONS_INIT;
    const carom_slice name = CAROM_SLICE("name");
    return options.size + tls.size + sockets.size + name.length;
}
"""

CMAKE = """cmake_minimum_required(VERSION 3.20)
project(consumer LANGUAGES C)
find_package(carom {version} REQUIRED)
add_executable(shared consumer.c)
target_link_libraries(shared PRIVATE carom::carom)
add_executable(static consumer.c)
target_link_libraries(static PRIVATE carom::carom_static)
"""

SHARED = """cmake_minimum_required(VERSION 3.20)
project(consumer LANGUAGES C)
find_package(carom REQUIRED {words})
if(NOT TARGET carom::carom_static)
    message(STATUS "shared only")
endif()
add_executable(shared consumer.c)
target_link_libraries(shared PRIVATE carom::carom)
"""


@unittest.skipIf(SANITIZED, "a sanitized library is not one to install")
class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="carom-install-")
        cls.addClassCleanup(directory.cleanup)
        cls.work = directory.name
        cls.root = os.path.join(cls.work, "root")
        cls.command(["cmake", "--install", BUILD], DESTDIR=cls.root)
        cls.files = [os.path.join(folder, name) for folder, _, names in os.walk(cls.root) for name in names]
        cls.source = os.path.join(cls.work, "consumer.c")
        with open(cls.source, "w", encoding="ascii") as file:
            file.write(PROGRAM)
        cls.header = ""
        for name in ("carom.h", "carom_websocket.h", "carom_ring.h", "carom_vm.h"):
            with open(cls.installed(name), encoding="utf-8") as file:
                cls.header += file.read()
        cls.version = re.search(r'#define CAROM_VERSION "(.*)"', cls.header)[1]

    @classmethod
    def command(cls, command, **environment):
        done = subprocess.run(command, env={**os.environ, **environment}, cwd=cls.work, text=True, timeout=DEADLINE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
        return done.stdout

    @classmethod
    def installed(cls, name):
        found = [file for file in cls.files if os.path.basename(file) == name]
        if len(found) != 1:
            raise AssertionError(f"{name} is installed {len(found)} times in {cls.files}")
        return found[0]

    def library_path(self):
        return os.path.dirname(self.installed("libcarom.a"))

    def run_consumer(self, program):
        self.assertEqual(self.command([os.path.join(self.work, program)], LD_LIBRARY_PATH=self.library_path()),
                         f"carom {self.version}\n")

    def test_only_public_headers(self):
        headers = {os.path.basename(file) for file in self.files if file.endswith(".h")}
        source = os.environ.get("CAROM_SOURCE", os.getcwd())
        self.assertEqual(headers, set(os.listdir(os.path.join(source, "include"))))

    def test_components(self):
        """What a program needs to run, what one needs to be built, and the pages: each for itself, and no more than all."""
        put = {}
        for component in ("runtime", "development", "docs"):
            root = os.path.join(self.work, component)
            os.mkdir(root)
            self.command(["cmake", "--install", BUILD, "--component", component], DESTDIR=root)
            put[component] = {os.path.relpath(os.path.join(folder, name), root)
                              for folder, _, names in os.walk(root) for name in names}
        self.assertEqual({os.path.basename(name) for name in put["runtime"]},
                         {"libcarom.so.0", f"libcarom.so.{self.version}"})
        wanted = {"libcarom.so", "libcarom.a", "carom.h", "carom.pc", "carom-config.cmake"}
        self.assertEqual(wanted - {os.path.basename(name) for name in put["development"]}, set())
        self.assertEqual(sorted(os.path.relpath(file, self.root) for file in self.files),
                         sorted(name for names in put.values() for name in names))

    def test_pkg_config(self):
        usual = self.command(["pkg-config", "--variable", "pc_path", "pkg-config"]).strip()  # libssl is there
        environment = {"PKG_CONFIG_LIBDIR": os.path.dirname(self.installed("carom.pc")) + ":" + usual}
        self.assertEqual(self.command(["pkg-config", "--modversion", "carom"], **environment).strip(), self.version)
        flags = self.command(["pkg-config", "--cflags", "--libs", "carom"], **environment).split()
        self.assertIn("-lcarom", flags)
        self.command(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", self.source, "-o", "shared",
                      *flags])
        self.assertIn("libcarom.so.0", self.command(["readelf", "-d", "shared"]))
        self.run_consumer("shared")
        # Without the shared library in reach, --static must name all that the archive needs.
        flags = self.command(["pkg-config", "--static", "--cflags", "--libs", "carom"], **environment).split()
        flags[flags.index("-lcarom")] = "-l:libcarom.a"
        self.command(["cc", "-std=c11", self.source, "-o", "archive", *flags])
        self.run_consumer("archive")

    def test_find_package(self):
        with open(os.path.join(self.work, "CMakeLists.txt"), "w", encoding="ascii") as file:
            file.write(CMAKE.format(version=self.version))
        prefix = os.path.dirname(os.path.dirname(self.installed("carom.h")))
        self.command(["cmake", "-S", ".", "-B", "cmake", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}"])
        self.command(["cmake", "--build", "cmake"])
        self.run_consumer("cmake/shared")
        self.run_consumer("cmake/static")
        # A machine without OpenSSL's development files can use the shared library, and is told what the other needs.
        without = "-DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON"
        for words, says in (("", "shared only"), ("COMPONENTS shared", "shared only")):
            with open(os.path.join(self.work, "CMakeLists.txt"), "w", encoding="ascii") as file:
                file.write(SHARED.format(words=words))
            said = self.command(["cmake", "-S", ".", "-B", f"shared{len(words)}", "-G", "Ninja", without,
                                 f"-DCMAKE_PREFIX_PATH={prefix}"])
            self.assertIn(says, said)
            self.command(["cmake", "--build", f"shared{len(words)}"])
        with open(os.path.join(self.work, "CMakeLists.txt"), "w", encoding="ascii") as file:
            file.write(SHARED.format(words="COMPONENTS static"))
        with self.assertRaisesRegex(AssertionError, r"libssl-dev"):
            self.command(["cmake", "-S", ".", "-B", "none", "-G", "Ninja", without, f"-DCMAKE_PREFIX_PATH={prefix}"])
        with self.assertRaisesRegex(AssertionError, r"compatible\s+with\s+requested version"):
            with open(os.path.join(self.work, "CMakeLists.txt"), "w", encoding="ascii") as file:
                file.write(CMAKE.format(version="99.0"))
            self.command(["cmake", "-S", ".", "-B", "newer", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}"])

    def test_headers_in_every_standard(self):
        """Both headers, and what they define for the program that includes them, without a warning."""
        source = os.path.join(self.work, "headers.c")
        with open(source, "w", encoding="ascii") as file:
            file.write(HEADERS)
        folder = os.path.dirname(self.installed("carom.h"))
        for language, compilers, standards in (("c", ("gcc", "clang"), ("c99", "c11", "c17")),
                                               ("c++", ("g++", "clang++"), ("c++11", "c++14", "c++17", "c++20"))):
            for compiler in compilers:
                for standard in standards:
                    self.command([compiler, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                                  "-fsyntax-only", f"-I{folder}", source])

    def test_exports_what_the_header_declares(self):
        code = re.sub(r"/\*.*?\*/", "", self.header, flags=re.S)
        declared = set(re.findall(r"^CAROM_API\b[^;]*?\b(\w+)\(", code, re.M))
        symbols = self.command(["nm", "-D", "--defined-only", self.installed(f"libcarom.so.{self.version}")])
        exported = {line.split()[2] for line in symbols.splitlines()} - {"CAROM_0"}  # the version, of which each is
        self.assertGreater(len(declared), 30)
        self.assertEqual(exported, {f"{name}@@CAROM_0" for name in declared})

    def test_archive_has_no_foreign_names(self):
        symbols = self.command(["nm", "-g", "--defined-only", self.installed("libcarom.a")])
        names = set(re.findall(r"^[0-9a-f]+ [A-Z] (\w+)$", symbols, re.M))
        self.assertEqual({name for name in names if not name.startswith("carom_")}, set())


if __name__ == "__main__":
    unittest.main()
