#!/usr/bin/env python3
"""A phone that is made to be killed: opens the app core, says what it shows, and does what it is told, line by line.

Says, one JSON object per line: `opened` (what the cache holds, before the network), `ready` (resumed), `shown` (the home
screen, whenever it is newer), `tapping` (the tap is being made), `answered`. Is told: `tap WALLET CENTS online|notice`,
`quit`."""

import asyncio
import json
import sys
import threading

from borsellino_host import binding, config, file_store, sign_in

borsellino = binding()


def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


def top_up(view):
    open_ = view.state.is_queued() or view.state.is_in_progress()
    notice = view.notice.number if view.notice else None
    state = "paid" if view.state.is_paid() else "open" if open_ else "other"
    return {"cents": view.amount.cents, "state": state, "notice": notice, "page": view.checkout_url}


def shown(app):
    home = app.cached_home()
    return [top_up(view) for view in home.top_ups] if home else []


class Ears(borsellino.Listener):
    def __init__(self, app):
        self.app, self.loop = app, asyncio.get_running_loop()

    def on_event(self, event):
        if event.is_home_changed():
            self.loop.call_soon_threadsafe(lambda: say("shown", top_ups=shown(self.app)))


async def main(url, code, folder):
    app = await borsellino.Borsellino.open(config(borsellino, url, folder), file_store(borsellino, folder))
    say("opened", top_ups=shown(app))
    if not app.accounts():
        await sign_in(borsellino, app, {"activation_code": code})
    watch = app.watch(Ears(app))
    resumed = await app.resume()
    wallets = [wallet.id for child in app.cached_home().children for wallet in child.wallets]
    say("ready", finished=resumed.finished, waiting=resumed.waiting, wallets=wallets, top_ups=shown(app))
    loop, lines = asyncio.get_running_loop(), asyncio.Queue()

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line.split())
        loop.call_soon_threadsafe(lines.put_nowait, ["quit"])

    threading.Thread(target=read, daemon=True).start()
    while True:
        match await lines.get():
            case ["tap", wallet, cents, way]:
                pay_by = borsellino.PayBy.ONLINE if way == "online" else borsellino.PayBy.NOTICE
                say("tapping")
                view = await app.start_top_up(wallet, int(cents), pay_by)
                say("answered", top_up=top_up(view))
            case ["quit"]:
                break
    await watch.stop()
    await app.shutdown()


asyncio.run(main(*sys.argv[1:]))
