"""What the Python hosts of the tests share: where the binding is, a demo to speak to, a secure store of files.

Python here stands for any host: it drives the same library, over the same C interface, as Kotlin and Swift.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
PASSWORD = "borsellino-demo"


def binding():
    """The generated module, loaded beside the library that `mobile-bindings/generate` put down."""
    folder, library = TARGET / "bindings" / "python", TARGET / "bindings" / "lib"
    if not (folder / "borsellino.py").exists():
        sys.exit("there is no binding yet: run mobile-bindings/generate")
    for file in library.iterdir():
        # The module looks for the library beside itself.
        beside = folder / file.name
        if not beside.exists():
            os.symlink(file, beside)
    sys.path.insert(0, str(folder))
    import borsellino

    return borsellino


class Demo:
    """A running `borsellino demo` on ports of its own."""

    def __enter__(self):
        program = pathlib.Path(os.environ.get("BORSELLINO_SERVER", TARGET / "debug" / "borsellino"))
        if not program.exists():
            sys.exit(f"there is no {program}: run cargo build -p borsellino-server")
        self.folder = tempfile.mkdtemp(prefix="borsellino-phone-")
        # `--data`, so that the end of the demo leaves its database to be checked.
        self.data = pathlib.Path(self.folder, "demo")
        arguments = ["demo", "--json", "--port", "0", "--node-port", "0", "--sandbox-port", "0", "--data", self.data]
        self.program = program
        self.process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the demo did not start")
        self.at = json.loads(line)
        return self

    def stop(self):
        """Ends it in order. Again: nothing."""
        self.process.terminate()
        self.process.wait(timeout=30)

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ledger_is_sound(self):
        """Whether the books of the demo, once it has ended, hold."""
        verify = [self.program, "ledger", "verify", "--data", self.data]
        return subprocess.run(verify, stdout=subprocess.DEVNULL).returncode == 0

    def post(self, path, body):
        """Asks the sandbox, which plays the parent at the bank."""
        request = urllib.request.Request(
            self.at["sandbox"] + path,
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        # Whatever the surroundings say of proxies: this is the loopback.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return json.load(answer)

    def pay_notice(self, number):
        """Pays at the tobacconist's."""
        creditor = self.at["creditor"]["fiscal_code"]
        body = {"creditor": creditor, "notice_number": number, "psp": "TAB99908"}
        return self.post("/api/notices/pay", body)

    def pay_page(self, url):
        """Pays on the pagoPA page at `url`."""
        return self.post(f"/api/carts/{url.rsplit('/', 1)[-1]}/pay", {"method": "card"})


def file_store(module, folder, durable=True):
    """A secure store of files: not secure, and durable once it answers, like a real one."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    class FileStore(module.SecureStore):
        def get(self, key):
            try:
                return (folder / key).read_bytes()
            except FileNotFoundError:
                return None

        def set(self, key, value):
            fresh = folder / (key + ".new")
            with open(fresh, "wb") as file:
                file.write(value)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(fresh, folder / key)

        def remove(self, key):
            (folder / key).unlink(missing_ok=True)

    return FileStore()


def config(module, demo_url, folder, **more):
    """How the tests open the app core."""
    language = more.pop("language", module.Language.ENGLISH)
    return module.Config(data_dir=str(pathlib.Path(folder, "cache")), server_url=demo_url, language=language, **more)


async def sign_in(module, app, at, username="maria.bianchi"):
    """The first minute of a phone."""
    creditor = await app.activate(at["activation_code"])
    return await app.sign_in(creditor.fiscal_code, username, PASSWORD)


def threads():
    """The names of this process's threads, those of the library included."""
    names = []
    for task in pathlib.Path("/proc/self/task").iterdir():
        try:
            names.append(task.joinpath("comm").read_text().strip())
        except OSError:
            # It has ended meanwhile.
            pass
    return names
