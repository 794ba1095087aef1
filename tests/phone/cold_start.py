#!/usr/bin/env python3
"""How long a phone takes to its first paint: loading the library, opening the app core, reading the cached home screen. Median of
fresh processes, over the library as it ships:

    mobile-bindings/library cdylib && mobile-bindings/generate
    python3 tests/phone/cold_start.py

Not counted: Python's own start, and its reading of the generated module, which no other host has. The library is in the
page cache, as after the first start of the day."""

import asyncio
import ctypes
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from borsellino_host import TARGET, Demo, binding, config, file_store, sign_in

STARTS = 21


async def fill(demo, folder):
    """A family's home screen in the cache."""
    borsellino = binding()
    app = await borsellino.Borsellino.open(config(borsellino, demo.at["grpc"], folder), file_store(borsellino, folder))
    await sign_in(borsellino, app, demo.at)
    home = await app.refresh_home()
    assert len(home.children) == 2
    await app.shutdown()


async def start(module, library, url, folder):
    sys.path.insert(0, module)
    begun = time.perf_counter()
    ctypes.CDLL(library)
    loaded = time.perf_counter()
    import borsellino

    store, settings = file_store(borsellino, folder), config(borsellino, url, folder)
    opening = time.perf_counter()
    app = await borsellino.Borsellino.open(settings, store)
    opened = time.perf_counter()
    home = app.cached_home()
    painted = time.perf_counter()
    assert len(home.children) == 2
    await app.shutdown()
    spans = {"load": loaded - begun, "open": opened - opening, "first cached home": painted - opened}
    print(json.dumps({name: span * 1_000 for name, span in spans.items()}))


def main():
    library = pathlib.Path(TARGET, "mobile", "libborsellino_mobile.so").resolve()
    if not library.exists():
        sys.exit(f"there is no {library}: run mobile-bindings/library cdylib")
    with Demo() as demo, tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(demo, pathlib.Path(folder, "phone")))
        # The shipped library beside the module, in the place of the one for tests.
        shutil.copy(TARGET / "bindings" / "python" / "borsellino.py", folder)
        shutil.copy(library, folder)
        arguments = [folder, str(pathlib.Path(folder, library.name)), demo.at["grpc"], str(pathlib.Path(folder, "phone"))]
        runs = []
        for _ in range(STARTS):
            said = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, check=True).stdout
            runs.append(json.loads(said))
    print(f"    {library.stat().st_size:>9} bytes, {STARTS} fresh processes, milliseconds: median (lowest..highest)")
    for name in runs[0]:
        spans = [run[name] for run in runs]
        print(f"    {statistics.median(spans):>9.2f}  {name} ({min(spans):.2f}..{max(spans):.2f})")
    whole = [sum(run.values()) for run in runs]
    print(f"    {statistics.median(whole):>9.2f}  from the load to the first paint ({min(whole):.2f}..{max(whole):.2f})")


if len(sys.argv) == 5:
    asyncio.run(start(*sys.argv[1:]))
else:
    main()
