#!/usr/bin/env python3
"""Kills a phone between the tap and its answer, opens it again, pays, and counts: how many top-ups were made twice, how
many were lost, how many still say that they are under way when all is over.

The phone is a process of its own (`phone.py`), the server `borsellino demo` with its sandbox of pagoPA. A phone is killed
with SIGKILL at an instant drawn at random from before the tap is on its disk to after its answer; one in four is killed
once more while it is starting. Each tap has an amount of its own, by which it is found again: on the server's list as
another phone of the same parent sees it, and at the end among the movements, where each has to stand once or not at all."""

import argparse
import asyncio
import json
import pathlib
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

from borsellino_host import Demo, binding, config, file_store, sign_in

borsellino = binding()

# How long the phone may take to notice that a payment was confirmed, or to start.
DEADLINE = 30.0
# A demo's wallets would be full after more.
TAPS_PER_DEMO = 100
SMALLEST = 500
WRONG = ["lost", "double", "stuck", "did not end in order", "ledgers unsound"]


class Phone:
    """A phone in a process of its own."""

    def __init__(self, demo, folder):
        program = pathlib.Path(__file__).with_name("phone.py")
        arguments = [demo.at["grpc"], demo.at["activation_code"], str(folder)]
        self.process = subprocess.Popen(
            [sys.executable, program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.rest = b""

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")

    def lines(self, deadline):
        """What it says until `deadline`, or its end."""
        while True:
            while b"\n" in self.rest:
                line, self.rest = self.rest.split(b"\n", 1)
                yield json.loads(line)
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return
            more = self.process.stdout.read(65536)
            if not more:
                return
            self.rest += more

    def hear(self, wanted):
        """The first thing it says that is wanted."""
        for said in self.lines(time.monotonic() + DEADLINE):
            if wanted(said):
                return said
        return None

    def kill(self):
        """Ends it at once; answers what it still had said."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        return list(self.lines(time.monotonic() + DEADLINE))

    def quit(self):
        self.process.stdin.close()
        return self.process.wait(timeout=DEADLINE)


class Watcher:
    """Another phone of the same parent, in this process: what the server says, through a public door."""

    async def open(self, demo, folder):
        store = file_store(borsellino, folder)
        self.app = await borsellino.Borsellino.open(config(borsellino, demo.at["grpc"], folder), store)
        await sign_in(borsellino, self.app, demo.at)
        return self

    async def listed(self, cents):
        home = await self.app.refresh_home()
        return [view for view in home.top_ups if view.amount.cents == cents]

    async def booked(self):
        """How often each amount came in, over all movements."""
        counts, page = Counter(), None
        while True:
            movements = await self.app.movements(None, page)
            counts.update(
                it.amount.cents for it in movements.movements if it.kind == borsellino.MovementKind.TOP_UP
            )
            page = movements.next
            if page is None:
                return counts


class Town:
    """One demo, one phone that is killed and opened again."""

    def __init__(self, demo, folder, dice, tally):
        self.demo, self.folder, self.dice, self.tally = demo, pathlib.Path(folder, "phone"), dice, tally
        self.usual = 0.05

    def start(self):
        """Opens the phone, one time in four through another kill."""
        if self.folder.exists() and self.dice.random() < 0.25:
            phone = Phone(self.demo, self.folder)
            phone.hear(lambda said: said["event"] == "opened")
            time.sleep(self.dice.uniform(0, self.usual))
            phone.kill()
            self.tally["kills while starting"] += 1
        phone = Phone(self.demo, self.folder)
        opened = phone.hear(lambda said: said["event"] == "opened")
        ready = phone.hear(lambda said: said["event"] == "ready")
        if not opened or not ready:
            phone.kill()
            sys.exit("a phone did not open again")
        self.wallets = ready["wallets"]
        return phone, opened, ready

    def measure(self, phone, cents):
        """A tap that nobody disturbs: how long the usual one takes. Leaves a top-up to be paid."""
        begun = time.monotonic()
        phone.tell(f"tap {self.wallets[0]} {cents} online")
        phone.hear(lambda said: said["event"] == "answered")
        self.usual = time.monotonic() - begun

    def strike(self, phone, cents, way):
        """Taps and kills; answers how far the phone had said that it had come."""
        wallet = self.wallets[self.dice.randrange(len(self.wallets))]
        phone.tell(f"tap {wallet} {cents} {way}")
        if not phone.hear(lambda said: said["event"] == "tapping"):
            sys.exit("a phone did not tap")
        # Half of the kills fall early, where the order is on its way to the disk.
        chance = self.dice.random() ** self.dice.choice([1, 3])
        time.sleep(chance * self.usual * 1.3)
        said = phone.kill()
        self.tally["kills between tap and done"] += 1
        return any(it["event"] == "answered" for it in said)

    async def round(self, phone, watcher, cents, way):
        """One tap, one kill, and what became of it. Answers the phone that was opened again, and how often the amount
        must have come in."""
        answered = self.strike(phone, cents, way)
        phone, opened, ready = self.start()
        known = [it for it in opened["top_ups"] if it["cents"] == cents]
        listed = await watcher.listed(cents)
        # On the screen after the kill, or said to be done before it: then it has to be at the server, once.
        must = answered or bool(known)
        if must and not listed:
            self.tally["lost"] += 1
        if len(listed) > 1 or len(known) > 1:
            self.tally["double"] += 1
        if answered:
            self.tally["killed after the answer"] += 1
        elif not known and not listed:
            self.tally["killed before the tap was on the disk"] += 1
        else:
            self.tally["killed before the answer, and finished"] += 1
        if ready["waiting"]:
            self.tally["stuck"] += 1
        for view in listed:
            self.pay(view)
        if listed and not self.settles(phone, cents):
            self.tally["stuck"] += 1
        return phone, (1 if listed else 0)

    def pay(self, view):
        if view.checkout_url and self.dice.random() < 0.8:
            paid = self.demo.pay_page(view.checkout_url)
        else:
            paid = self.demo.pay_notice(view.notice.number)
        if paid["outcome"] != "paid":
            sys.exit(f"the sandbox did not take the payment: {paid}")

    def settles(self, phone, cents):
        """Whether the phone's own screen stops saying that it is under way, by itself."""
        last = None
        for said in phone.lines(time.monotonic() + DEADLINE):
            if said["event"] == "shown":
                last = [it for it in said["top_ups"] if it["cents"] == cents and it["state"] != "paid"]
                if not last:
                    return True
        print(f"    {cents} cents are stuck: {last}", file=sys.stderr)
        return False


async def torture(kills, dice, tally):
    done = 0
    while done < kills:
        with Demo() as demo, tempfile.TemporaryDirectory() as folder:
            town = Town(demo, folder, dice, tally)
            watcher = await Watcher().open(demo, pathlib.Path(folder, "watcher"))
            before = await watcher.booked()
            phone, _, _ = town.start()
            town.measure(phone, SMALLEST)
            for view in await watcher.listed(SMALLEST):
                town.pay(view)
            if not town.settles(phone, SMALLEST):
                tally["stuck"] += 1
            wanted = Counter({SMALLEST: 1})
            for tap in range(1, min(TAPS_PER_DEMO, kills - done) + 1):
                cents = SMALLEST + tap
                phone, times = await town.round(phone, watcher, cents, dice.choice(["online", "notice"]))
                wanted[cents] = times
                done += 1
            if phone.quit() != 0:
                tally["did not end in order"] += 1
            booked = await watcher.booked()
            booked.subtract(before)
            for cents, times in wanted.items():
                tally["lost"] += max(0, times - booked[cents])
                tally["double"] += max(0, booked[cents] - max(times, 1))
                tally["paid, and booked once"] += times == booked[cents] == 1
            await watcher.app.shutdown()
            demo.stop()
            tally["ledgers unsound"] += not demo.ledger_is_sound()
            if kills > TAPS_PER_DEMO:
                print(f"    {done} of {kills}: {sum(tally[name] for name in WRONG)} wrong", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--kills", type=int, default=1000)
    options.add_argument("--seed", type=int, default=None, help="the same chances again; the instants still differ")
    chosen = options.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(1_000_000)
    tally, begun = Counter(), time.monotonic()
    asyncio.run(torture(chosen.kills, random.Random(seed), tally))
    right = [
        "kills between tap and done", "kills while starting", "killed before the tap was on the disk",
        "killed before the answer, and finished", "killed after the answer", "paid, and booked once",
    ]
    print(f"\n    a phone killed at any instant, seed {seed}, {time.monotonic() - begun:.0f} s")
    for name in right + WRONG:
        print(f"    {tally[name]:>6}  {name}")
    sys.exit(any(tally[name] for name in WRONG))


main()
