#!/usr/bin/env python3
"""Calls every exported function and method with arguments drawn at random, many at once, against a live demo and against
nothing, with a secure store that fails now and then, and gives up some calls half-way. Counts calls, panics and crashes.

The calls are made by a process of its own, through the generated Python binding: the C interface that Kotlin and Swift use. A
panic is an internal error that the binding raises, or a line of Rust's panic hook (those of background tasks); a crash is
an end of the process by a signal."""

import argparse
import asyncio
import datetime
import faulthandler
import gc
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter

from borsellino_host import Demo, PASSWORD, binding, config, file_store, threads

borsellino = binding()
AT_ONCE = 16
CALLS_PER_PHONE = 2_000
# A process and a demo of its own for so many.
CALLS_PER_PROCESS = 100_000

NASTY = [
    "", " ", "\0", "a\0b", "0", "-1", "null", "é" * 300, "😀", "\u202e\u0007", "' OR 1=1 --", "%00%ff", "../../x", "\r\nauthorization: x",
    "1" * 70_000, "9" * 10, "1" * 11, "99900010010", "5645312010", "maria.bianchi", PASSWORD, "http://[::1", "https://x:99999",
    "http://127.0.0.1:1", "https://127.0.0.1:1/", "Bearer x", "0R1GT-4V7ZK-92ME8", "RSSMRT85C41H501A", "12345678", "07", "20,50", "1.234,56", "0,001", "99999999999999999999,99",
]
NUMBERS = [0, 1, -1, 499, 500, 2_000, 20_000, 99_999_999, 100_000_000, 2**31, -(2**31), 2**53, 2**63 - 1, -(2**63)]


class Dice(random.Random):
    """What arguments are made of."""

    def text(self):
        kind = self.random()
        if kind < 0.6:
            return self.choice(NASTY)
        if kind < 0.8:
            return "".join(chr(self.choice([self.randrange(1, 128), self.randrange(0x80, 0xD800)])) for _ in range(self.randrange(40)))
        return str(uuid.UUID(int=self.getrandbits(128), version=self.choice([4, None])))

    def number(self):
        return self.choice(NUMBERS) if self.random() < 0.7 else self.randrange(-(2**63), 2**63)

    def span(self):
        return datetime.timedelta(milliseconds=self.choice([0, 1, 50, 1_000, 10**7, 86_399_999_999_999_000]))

    def maybe(self, value):
        return None if self.random() < 0.5 else value()

    def refusal(self):
        return borsellino.Refusal(
            reason=self.choice(list(borsellino.Reason)), sentence=self.text(), limit_cents=self.maybe(self.number),
            retry_after_ms=self.maybe(lambda: self.randrange(2**64)), is_final=self.random() < 0.5,
            rule=self.maybe(lambda: self.choice(list(borsellino.PasswordRule))),
        )

    def error(self):
        errors, stores, caches = borsellino.BorsellinoError, borsellino.SecureStoreError, borsellino.CacheProblem
        return self.choice([
            errors.Offline, errors.OutcomeUnknown, errors.NotOurServer, errors.CertificateTime, errors.OlderServer,
            errors.SignedOut, errors.NoRandomness, errors.Wiped, errors.Closed,
            lambda: errors.BeingPaid(borsellino.InProgress(
                until=self.maybe(self.number), checkout_url=self.maybe(self.text), sentence=self.text(),
            )),
            lambda: errors.Refused(self.refusal()),
            lambda: errors.Invalid(self.choice(list(borsellino.InvalidInput))),
            lambda: errors.SecureStore(self.choice([stores.Locked, stores.Denied, stores.Failed])()),
            lambda: errors.Cache(self.choice([
                caches.FULL, caches.CORRUPT, caches.SEALED, caches.IO,
                lambda: caches.SQLITE(self.randrange(-(2**31), 2**31)),
            ])()),
        ])()

    def pace(self):
        names = ["connect", "call", "patience", "silence", "first_wait", "longest_wait", "gather"]
        return borsellino.Pace(**{name: self.span() for name in names})


class Fuzz:
    def __init__(self, at, folder, dice):
        self.at, self.folder, self.dice = at, folder, dice
        self.calls, self.outcomes, self.watches = Counter(), Counter(), []
        self.wallets, self.bills, self.top_ups, self.together, self.keys = [], [], [], [], []
        self.server = "http://127.0.0.1:1"

    def store(self):
        kept, dice = file_store(borsellino, pathlib.Path(self.folder, "secrets"), durable=False), self.dice

        class Moody(borsellino.SecureStore):
            def mood(self):
                if dice.random() < 0.02:
                    errors = borsellino.SecureStoreError
                    raise dice.choice([errors.Locked(), errors.Denied(), errors.Failed(), KeyError("x"), OSError(5)])

            def get(self, key):
                self.mood()
                return kept.get(key)

            def set(self, key, value):
                self.mood()
                kept.set(key, value)

            def remove(self, key):
                self.mood()
                kept.remove(key)

        return Moody()

    def listener(self):
        dice = self.dice

        class Moody(borsellino.Listener):
            def on_event(self, event):
                if dice.random() < 0.3:
                    raise dice.choice([borsellino.ListenerError.Failed(), ValueError("x")])

        return Moody()

    async def call(self, name, call):
        """One call over the border; any error of ours is an answer."""
        self.calls[name] += 1
        try:
            done = call()
            if asyncio.iscoroutine(done):
                task = asyncio.ensure_future(done)
                # Not `open`: uniffi keeps an answer as a bare handle until the host fetches it. One that is given up in
                # between leaks, and here it would be a whole app core.
                if name != "open" and self.dice.random() < 0.05:
                    await asyncio.wait([task], timeout=self.dice.choice([0, 0.001, 0.01]))
                    task.cancel()
                done = await task
            self.outcomes["ok"] += 1
            return done
        except asyncio.CancelledError:
            self.outcomes["given up"] += 1
        except borsellino.BorsellinoError as error:
            self.outcomes[type(error).__name__] += 1
        except borsellino.InternalError as error:
            self.outcomes["PANIC"] += 1
            print(f"PANIC in {name}: {error}", file=sys.stderr)
        return None

    def id(self, known):
        return self.dice.choice(known) if known and self.dice.random() < 0.6 else self.dice.text()

    async def open(self):
        """A phone that works, or one that is opened with anything at all."""
        dice, app = self.dice, None
        while app is None:
            self.server = dice.choice([self.at["grpc"], self.at["grpc"], "http://127.0.0.1:1"])
            quick = datetime.timedelta(seconds=1)
            pace = borsellino.Pace(
                connect=quick, call=quick, patience=quick, silence=quick, first_wait=quick, longest_wait=quick, gather=quick
            )
            good = config(borsellino, self.server, self.folder, pace=pace)
            app = await self.call("open", lambda: borsellino.Borsellino.open(good, self.store()))
        return app

    async def open_anything(self):
        dice = self.dice
        folder = dice.choice(["", "\0", "/proc/none", "x" * 5_000, str(pathlib.Path(self.folder, "any", dice.choice("abc")))])
        anything = borsellino.Config(
            data_dir=folder, server_url=self.id([self.at["grpc"]]), language=dice.choice(list(borsellino.Language)),
            device_name=dice.text(), pace=dice.maybe(dice.pace), max_cache_pages=dice.maybe(lambda: dice.randrange(2**32)),
        )
        app = await self.call("open", lambda: borsellino.Borsellino.open(anything, self.store()))
        if app:
            await self.call("activate", lambda: app.activate(self.at["activation_code"]))
            if dice.random() < 0.5:
                await self.call("shutdown", app.shutdown)

    def learn(self, home):
        if home:
            self.wallets = [wallet.id for child in home.children for wallet in child.wallets]
            self.bills, self.top_ups = [bill.id for bill in home.bills], [view.id for view in home.top_ups]
            self.together = [view.id for view in home.together]

    def item(self):
        items, dice = borsellino.PayItem, self.dice
        return dice.choice([
            lambda: items.TOP_UP(wallet=self.id(self.wallets), amount=dice.number()),
            lambda: items.BILL(self.id(self.bills)),
            lambda: items.INSTALMENT(bill=self.id(self.bills), number=dice.randrange(2**32)),
        ])()

    def notice(self):
        texts = {name: self.dice.text() for name in [
            "number", "grouped", "creditor_fiscal_code", "creditor_name", "cbill", "qr_text", "reason",
        ]}
        amount = borsellino.Money(cents=self.dice.number(), text=self.dice.text())
        return borsellino.NoticeView(amount=amount, until=self.dice.maybe(self.dice.text), **texts)

    def push(self):
        names = ["v", "id", "session", "seq", "kind", self.dice.text()]
        return {name: self.dice.text() for name in names if self.dice.random() < 0.8}

    async def once(self, app):
        dice = self.dice
        pay_by, language = dice.choice(list(borsellino.PayBy)), dice.choice(list(borsellino.Language))
        creditor = self.at["creditor"]["fiscal_code"]
        quick = {
            "accounts": lambda: self.keys.extend(it.key for it in app.accounts()[:1]),
            "cache_start": app.cache_start,
            "cached_home": lambda: self.learn(app.cached_home()),
            "remembered_creditor": lambda: app.remembered_creditor(dice.text()),
            "error_sentence": lambda: borsellino.error_sentence(dice.error(), language),
            "notice_qr": lambda: borsellino.notice_qr(self.notice()),
            "parse_amount": lambda: borsellino.parse_amount(dice.text()),
            "watch": lambda: self.watches.append(app.watch(self.listener())),
            "stop": lambda: self.watches.pop().stop() if self.watches else None,
        }
        slow = {
            "use_account": lambda: app.use_account(self.id(self.keys)),
            "activate": lambda: app.activate(self.id([self.at["activation_code"]])),
            "refresh_home": app.refresh_home,
            "movements": lambda: app.movements(dice.maybe(lambda: self.id(self.wallets)), dice.maybe(dice.text)),
            "start_top_up": lambda: app.start_top_up(self.id(self.wallets), dice.number(), pay_by),
            "retry_top_up": lambda: app.retry_top_up(self.id(self.top_ups)),
            "dismiss": lambda: app.dismiss(self.id(self.top_ups)),
            "pay_bill": lambda: app.pay_bill(self.id(self.bills)),
            "pay_together": lambda: app.pay_together([self.item() for _ in range(dice.randrange(8))]),
            "dismiss_together": lambda: app.dismiss_together(self.id(self.together)),
            "fee_advice": lambda: app.fee_advice([dice.number() for _ in range(dice.randrange(12))]),
            "receipts": lambda: app.receipts(dice.maybe(dice.text)),
            "sync": app.sync,
            "returned_from_browser": lambda: app.returned_from_browser(dice.text()),
            "resume": app.resume,
            "recovery": app.recovery,
            "forget_recovery": app.forget_recovery,
            "start_recovery": lambda: app.start_recovery(self.id([creditor]), dice.text()),
            "prove_office": lambda: app.prove_office(dice.text()),
            "prove_email": lambda: app.prove_email(dice.text()),
            "proofs": app.proofs,
            "recoveries": lambda: app.recoveries(self.id(self.keys)),
            "answer_recovery": lambda: app.answer_recovery(self.id(self.keys), dice.text(), dice.maybe(dice.text)),
            "devices": lambda: app.devices(self.id(self.keys)),
            "revoke_device": lambda: app.revoke_device(self.id(self.keys), dice.text()),
            "register_push": lambda: app.register_push(dice.text(), dice.choice(list(borsellino.Platform))),
            "remove_push": app.remove_push,
            "push_received": lambda: app.push_received(self.push()),
        }
        enter = lambda: app.sign_in(creditor, "maria.bianchi", PASSWORD)
        # Passwords are made to be slow to check.
        rare = {
            "sign_out": app.sign_out,
            "sign_in well": enter,
            "sign_in": lambda: app.sign_in(dice.text(), dice.text(), dice.text()),
            "register": lambda: app.register(self.id([creditor]), dice.text(), dice.text(), dice.text(), dice.text()),
            # Never the right one: the demo's password stays what it is.
            "change_password": lambda: app.change_password(self.id(self.keys), dice.text() + "x", dice.text()),
            "finish_recovery": lambda: app.finish_recovery(dice.text()),
        }
        kinds = dice.choices([quick, slow, rare], [200, 20, 1])[0]
        name = dice.choice(list(kinds))
        await self.call(name, kinds[name])

    async def run(self, calls):
        while self.calls.total() < calls:
            app = await self.open()
            end = min(calls, self.calls.total() + CALLS_PER_PHONE)
            await self.call("sign_in well", lambda: app.sign_in(self.at["creditor"]["fiscal_code"], "maria.bianchi", PASSWORD))
            while self.calls.total() < end:
                await asyncio.gather(*(self.once(app) for _ in range(AT_ONCE)))
            # What was refused stays on the screen until it is dismissed, and would make it long.
            for view in getattr(await self.call("cached_home", app.cached_home), "top_ups", []):
                if view.state.is_refused():
                    await self.call("dismiss", lambda: app.dismiss(view.id))
            # Some hosts just let go.
            if self.dice.random() < 0.9:
                await self.call("shutdown", app.shutdown)
            self.watches.clear()
            await self.open_anything()


async def work(calls, seed):
    dice = Dice(seed)
    with Demo() as demo, tempfile.TemporaryDirectory() as folder:
        # A data folder may be named "": then it is this one.
        os.chdir(folder)
        fuzz = Fuzz(demo.at, folder, dice)
        await fuzz.run(calls)
        os.chdir("/")
        # Those that were let go of end by themselves. Before the process does: Python ends foreign threads that call it
        # late by force, which no Rust survives.
        gc.collect()
        end = time.monotonic() + 30
        while "borsellino" in threads():
            if time.monotonic() > end:
                sys.exit("an app core that was let go of still runs")
            await asyncio.sleep(0.01)
        names = ", ".join(f"{name} {count}" for name, count in fuzz.calls.most_common())
        outcomes = ", ".join(f"{name} {count}" for name, count in fuzz.outcomes.most_common())
        print(f"    {fuzz.calls.total()} calls: {names}\n    answers: {outcomes}", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--calls", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(1_000_000)
    if chosen.inside:
        # A crash says where it was.
        faulthandler.enable()
        asyncio.run(work(chosen.calls, seed))
        return
    begun, left, part, panics, crashes = time.monotonic(), chosen.calls, seed, 0, 0
    while left > 0 and not panics and not crashes:
        calls = min(left, CALLS_PER_PROCESS)
        command = [sys.executable, __file__, "--inside", "--calls", str(calls), "--seed", str(part)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "RUST_BACKTRACE": "0"})
        panics += done.stderr.count("panicked at") + done.stderr.count("PANIC in")
        crashes += done.returncode < 0
        if panics or done.returncode:
            print(f"    seed {part} ended with {done.returncode}\n{done.stderr[:3_000]}", file=sys.stderr)
            crashes += done.returncode > 0 and not panics
        left, part = left - calls, part + 1
    print(f"    seed {seed}, {time.monotonic() - begun:.0f} s: {panics} panics, {crashes} crashes", flush=True)
    sys.exit(bool(panics or crashes))


main()
