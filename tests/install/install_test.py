#!/usr/bin/env python3
"""The cache as an installed library: installs it, moves the folder, and builds the examples against it as strangers would.

usage: install_test.py BUILD_DIR CXX CC CMAKE
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = r"""
include/larder/\w+\.h
lib/cmake/larder/larder(Config|ConfigVersion|Targets|Targets-\w+)\.cmake
lib/liblarder\+\+\.a
lib/liblarder\.so(\.\d+(\.\d+\.\d+)?)?
lib/pkgconfig/larder(-c)?\.pc
""".split()
SYSTEM = {"libstdc++", "libm", "libgcc_s", "libc", "ld-linux-x86-64"}  # all that a program may need at run time


def run(*words, **how) -> str:
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300, **how)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


class Installed(unittest.TestCase):
    maxDiff = None
    build, cxx, cc, cmake = None, None, None, None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="larder-install-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        run(cls.cmake, "--install", cls.build, "--prefix", cls.folder / "first", "--component", "library")
        cls.prefix = (cls.folder / "first").rename(cls.folder / "moved here")
        libraries = [path.parent for path in cls.prefix.rglob("pkgconfig")]
        cls.lib = libraries[0] if libraries else cls.prefix / "lib"
        cls.environment = {**os.environ, "PKG_CONFIG_PATH": str(cls.lib / "pkgconfig")}

    def project(self, name: str, *settings: str) -> Path:
        """The program of an example, built with CMake in a copy of its own."""
        source = self.folder / f"project-{len(list(self.folder.iterdir()))}-{name}"
        shutil.copytree(ROOT / "examples" / name, source)
        run(self.cmake, "-S", source, "-B", source / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_CXX_COMPILER={self.cxx}", f"-DCMAKE_C_COMPILER={self.cc}", *settings)
        run(self.cmake, "--build", source / "build")
        (program,) = [path for path in (source / "build").glob("example_*") if os.access(path, os.X_OK)]
        return program

    def flags(self, package: str) -> list:
        # A blank in the path is written as "\ ".
        words = run("pkg-config", "--cflags", "--libs", package, env=self.environment)
        return [word.replace("\\ ", " ") for word in re.findall(r"(?:\\.|\S)+", words)]

    def visited(self, program: Path, **environment) -> None:
        """Runs it twice on a new directory."""
        store = self.folder / f"store-{program.name}-{len(list(self.folder.iterdir()))}"
        self.assertEqual(run(program, store, "Ada", env={**os.environ, **environment}),
                         "Ada was here 1 times\nnobody was here lately\n")
        self.assertEqual(run(program, store, "Grace", env={**os.environ, **environment}),
                         "Grace was here 1 times\nthe last one was Ada\n")

    def needs(self, binary: Path) -> set:
        return set(re.findall(r"NEEDED.*\[(\S+?)\.so[\d.]*\]", run("readelf", "-d", binary)))

    def test_what_is_installed(self):
        wanted = re.compile("|".join(FILES))
        library = self.lib.relative_to(self.prefix)
        for path in self.prefix.rglob("*"):
            if not path.is_dir():
                name = str(path.relative_to(self.prefix)).replace(str(library), "lib", 1)
                self.assertTrue(wanted.fullmatch(name), name)
        for header in (ROOT / "include/larder").glob("*.h"):
            self.assertEqual((self.prefix / "include/larder" / header.name).read_text(), header.read_text())

    def test_the_shared_library_shows_what_its_header_has(self):
        header = re.sub(r"/\*.*?\*/", "", (ROOT / "include/larder/larder.h").read_text(), flags=re.S)
        declared = set(re.findall(r"\b(larder_\w+)\(", header))
        shown = {line.split()[2] for line in run("nm", "-D", "--defined-only", self.lib / "liblarder.so").splitlines()}
        self.assertEqual(shown - {"LARDER_0"}, {f"{name}@@LARDER_0" for name in declared})
        self.assertLessEqual(self.needs(self.lib / "liblarder.so"), SYSTEM)
        self.assertIn("[liblarder.so.0]", run("readelf", "-d", self.lib / "liblarder.so"))

    def test_find_package_in_cpp(self):
        program = self.project("cpp", "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Wshadow -Werror")
        self.assertLessEqual(self.needs(program), SYSTEM)
        self.visited(program)

    def test_find_package_in_c(self):
        self.visited(self.project("c", "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Wshadow -Werror"))

    def test_find_package_of_another_version(self):
        source = self.folder / "later"
        source.mkdir()
        (source / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.16)\nproject(later LANGUAGES NONE)\n"
                                               "find_package(larder 0.999 REQUIRED)\n")
        with self.assertRaisesRegex(AssertionError, "0.999"):
            run(self.cmake, "-S", source, "-B", source / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def test_pkg_config_in_cpp(self):
        program = self.folder / "visits-cpp"
        run(self.cxx, "-std=c++20", ROOT / "examples/cpp/visits.cc", "-o", program, *self.flags("larder"))
        self.visited(program)

    def test_pkg_config_in_c(self):
        program = self.folder / "visits-c"
        run(self.cc, "-std=c99", ROOT / "examples/c/visits.c", "-o", program, *self.flags("larder"))
        self.visited(program)

    def test_pkg_config_in_c_with_the_shared_library(self):
        program = self.folder / "visits-c-shared"
        run(self.cc, "-std=c99", ROOT / "examples/c/visits.c", "-o", program, *self.flags("larder-c"))
        self.assertIn("liblarder", self.needs(program))
        self.visited(program, LD_LIBRARY_PATH=str(self.lib))

    def test_loaded_by_a_language_that_is_not_c(self):
        store = self.folder / "store-python"
        script = ("import ctypes, sys\n"
                  "larder, cache = ctypes.CDLL(sys.argv[1]), ctypes.c_void_p()\n"
                  "assert larder.larder_open(sys.argv[2].encode(), None, ctypes.byref(cache), None) == 0\n"
                  "assert larder.larder_set(cache, b'a', ctypes.c_size_t(1), b'1', ctypes.c_size_t(1), None, None) == 0\n"
                  "assert larder.larder_contains(cache, b'a', ctypes.c_size_t(1), None) == 1\n"
                  "larder.larder_close(cache)\n")
        run(sys.executable, "-c", script, self.lib / "liblarder.so.0", store)

    def test_the_cache_alone_is_configured_with_nothing_else(self):
        """A program that adds this tree as a folder of its own, on a machine without what the server needs."""
        source = self.folder / "adds"
        source.mkdir()
        (source / "main.cc").write_text("#include <larder/cache.h>\nint main() {}\n")
        (source / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(adds LANGUAGES C CXX)\n"
            f"add_subdirectory({ROOT} larder EXCLUDE_FROM_ALL)\n"
            "add_executable(adds main.cc)\ntarget_link_libraries(adds PRIVATE larder::larder)\n")
        absent = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in
                  ("OpenSSL", "Boost", "CURL", "yaml-cpp", "nlohmann_json", "CLI11", "spdlog", "DuckDB", "GTest", "Python3")]
        run(self.cmake, "-S", source, "-B", source / "build", f"-DCMAKE_CXX_COMPILER={self.cxx}",
            f"-DCMAKE_C_COMPILER={self.cc}", *absent)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    Installed.build = Path(sys.argv[1]).resolve()
    Installed.cxx, Installed.cc, Installed.cmake = sys.argv[2:5]
    unittest.main(argv=sys.argv[:1] + sys.argv[5:], verbosity=2)
