#!/usr/bin/env python3
"""The whole way of a top-up, from a host in Python: activate, sign in, paint, tap, pay, hear of it, read the movements,
shut down. And what a host may do wrong. Ends with 0 where all of it holds."""

import asyncio
import tempfile
import threading

from borsellino_host import Demo, binding, config, file_store, sign_in, threads

borsellino = binding()
SOON = 20


class Ears(borsellino.Listener):
    """Carries events to the loop, and throws after each: a host's own trouble must not end a watch."""

    def __init__(self):
        self.loop, self.events = asyncio.get_running_loop(), asyncio.Queue()
        self.threads = set()

    def on_event(self, event):
        self.threads.add(threading.current_thread())
        self.loop.call_soon_threadsafe(self.events.put_nowait, event)
        raise RuntimeError("the screen is gone")

    async def until(self, wanted):
        while True:
            event = await asyncio.wait_for(self.events.get(), SOON)
            if wanted(event):
                return event


async def refused(call, error):
    try:
        await call
    except error as found:
        return found
    raise AssertionError(f"no {error.__qualname__}")


async def the_whole_way(demo, folder):
    app = await borsellino.Borsellino.open(config(borsellino, demo.at["grpc"], folder), file_store(borsellino, folder))
    assert app.cache_start().is_fresh()
    assert app.accounts() == [] and app.cached_home() is None
    await refused(app.refresh_home(), borsellino.BorsellinoError.SignedOut)

    account = await sign_in(borsellino, app, demo.at)
    assert account.active and [it.key for it in app.accounts()] == [account.key]
    home = await app.refresh_home()
    assert app.cached_home() == home and len(home.children) == 2, home
    wallet = home.children[0].wallets[0]
    assert wallet.balance_text == "€12.15", wallet

    ears = Ears()
    watch = app.watch(ears)
    await ears.until(lambda it: it.is_connection_changed() and it.connection.is_live())
    tapped = await app.start_top_up(wallet.id, 2_000, borsellino.PayBy.ONLINE)
    assert tapped.state.is_in_progress() and tapped.checkout_url, tapped
    assert demo.pay_page(tapped.checkout_url)["outcome"] == "paid"
    event = await ears.until(lambda it: it.is_balance_changed())
    assert event.change.after.cents == 3_215, event
    event = await ears.until(lambda it: it.is_top_up_changed() and it.top_up.state.is_paid())
    assert event.top_up.id == tapped.id
    page = await app.movements(wallet.id)
    assert page.movements[0].amount.cents == 2_000 and not page.from_cache, page
    assert threading.main_thread() not in ears.threads

    await watch.stop()
    await app.shutdown()
    await app.shutdown()
    await refused(app.refresh_home(), borsellino.BorsellinoError.Closed)
    assert app.cached_home().children[0].wallets[0].balance.cents == 3_215
    assert "borsellino" not in threads(), threads()


async def what_a_host_does_wrong(demo, folder):
    class Broken(borsellino.SecureStore):
        """Each way of failing that a Keychain has."""

        def __init__(self, failure):
            self.failure = failure

        def get(self, key):
            raise self.failure

        set = remove = get

    opened = lambda store, **more: borsellino.Borsellino.open(
        config(borsellino, demo.at["grpc"], folder, **more), store
    )
    for failure, why in [
        (borsellino.SecureStoreError.Locked(), borsellino.SecureStoreError.Locked),
        (borsellino.SecureStoreError.Denied(), borsellino.SecureStoreError.Denied),
        (RuntimeError("anything"), borsellino.SecureStoreError.Failed),
    ]:
        found = await refused(opened(Broken(failure)), borsellino.BorsellinoError.SecureStore)
        assert isinstance(found.why, why), found
    sentence = borsellino.error_sentence(
        borsellino.BorsellinoError.SecureStore(borsellino.SecureStoreError.Locked()), borsellino.Language.ITALIAN
    )
    assert sentence == "Sblocca il telefono e riprova.", sentence

    store = file_store(borsellino, folder)
    app = await opened(store)
    for code, error in [("12", borsellino.BorsellinoError.Invalid), ("0000000000", borsellino.BorsellinoError.Refused)]:
        await refused(app.activate(code), error)
    await sign_in(borsellino, app, demo.at)
    found = await refused(
        app.start_top_up("no id", 2_000, borsellino.PayBy.ONLINE), borsellino.BorsellinoError.Invalid
    )
    assert found.what == borsellino.InvalidInput.ID, found
    wallet = (await app.refresh_home()).children[0].wallets[0]
    for cents in [0, -1, 2**63 - 1]:
        found = await refused(
            app.start_top_up(wallet.id, cents, borsellino.PayBy.ONLINE), borsellino.BorsellinoError.Invalid
        )
        assert found.what == borsellino.InvalidInput.AMOUNT, found

    # A call that is given up goes on: the tap is on the server, once.
    tapping = asyncio.ensure_future(app.start_top_up(wallet.id, 777, borsellino.PayBy.NOTICE))
    await asyncio.sleep(0)
    tapping.cancel()
    await asyncio.wait([tapping])
    assert tapping.cancelled()
    found = lambda home: [it for it in home.top_ups if it.amount.cents == 777]

    async def sent():
        while not any(it.state.is_payable() for it in found(app.cached_home())):
            await app.resume()

    await asyncio.wait_for(sent(), SOON)
    assert len(found(await app.refresh_home())) == 1

    await app.shutdown()


async def main():
    with Demo() as demo, tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        await the_whole_way(demo, one)
        await what_a_host_does_wrong(demo, two)
    print("    a host in Python: all is well")


asyncio.run(main())
