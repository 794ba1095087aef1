// A parent's first minutes, from the activation code to the balance that grew, over the real library and a real server.
package it.borsellino

import java.io.File
import java.nio.file.Path
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.receiveAsFlow
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class WholeWayTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `from the activation code to the balance that grew`() = runBlocking<Unit> {
        withPhone(folder) { app ->
            assertEquals(CacheStart.Fresh, app.cacheStart())
            assertNull(app.cachedHome())
            assertTrue(app.accounts().isEmpty())
            val creditor = app.activate(Demo.code)
            assertEquals("Comune di Valdorso", creditor.name)
            assertEquals(creditor, app.rememberedCreditor(creditor.fiscalCode))
            val account = app.signIn(creditor.fiscalCode, "maria.bianchi", PASSWORD)
            assertEquals(listOf(account), app.accounts())
            val home = app.refreshHome()
            assertEquals(home, app.cachedHome())
            val wallet = home.wallet()
            assertTrue(wallet.spoken.startsWith("Giulia's"), wallet.spoken)

            val heard = Channel<Event>(Channel.UNLIMITED)
            val listening = launch { app.events().collect(heard::send) }
            heard.receiveAsFlow().soon { it is Event.ConnectionChanged && it.connection == Connection.Live }
            val tapped = app.startTopUp(wallet.id, 2_000, PayBy.ONLINE)
            assertTrue(tapped.state is TopUpState.InProgress, "${tapped.state}")
            Demo.payPage(checkNotNull(tapped.checkoutUrl))
            val change = heard.receiveAsFlow().soon { it is Event.BalanceChanged } as Event.BalanceChanged
            assertEquals(wallet.balance.cents + 2_000, change.change.after.cents)
            val paid = heard.receiveAsFlow().soon { it is Event.TopUpChanged && it.topUp.state is TopUpState.Paid }
            assertEquals(tapped.id, (paid as Event.TopUpChanged).topUp.id)
            listening.cancelAndJoin()

            val movements = app.movements(wallet.id)
            assertEquals(2_000, movements.movements.first().amount.cents)
            assertFalse(movements.fromCache)
            val bill = home.bills.first()
            val page = app.payBill(bill.id)
            assertTrue(page.checkoutUrl != null || page.bill.notice != null)
            app.signOut()
            assertTrue(app.accounts().isEmpty())
            assertNull(app.cachedHome())
        }
    }

    @Test
    fun `what was tapped without a network is sent when it comes back`() = runBlocking<Unit> {
        Network().use { network ->
            withPhone(folder, network.url) { app ->
                app.enter()
                val wallet = app.refreshHome().wallet(1)
                network.cut()
                val queued = app.startTopUp(wallet.id, 611, PayBy.NOTICE)
                assertTrue(queued.state is TopUpState.Queued, "${queued.state}")
                assertTrue(queued.sentence.startsWith("Queued: "), queued.sentence)
                assertTrue(runCatching { app.refreshHome() }.exceptionOrNull() is BorsellinoException.Offline)
                assertEquals(queued.id, checkNotNull(app.cachedHome()).of(611).single().id)
                network.mend()
                app.resume()
                val sent = checkNotNull(app.cachedHome()).of(611).single()
                assertEquals(queued.id, sent.id)
                assertTrue(sent.state is TopUpState.Payable, "${sent.state}")
                assertEquals(18, sent.notice?.number?.length)
            }
        }
    }

    @Test
    fun `killed while it taps, opened again, it is there once`() = runBlocking<Unit> {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val library = "-Djna.library.path=${System.getProperty("jna.library.path")}"
        val arguments = listOf(Demo.server, Demo.code, "maria.bianchi", PASSWORD, folder.toString(), "tap")
        val command = listOf(java, library, "-cp", System.getProperty("java.class.path"), "it.borsellino.ConsoleKt")
        val process = ProcessBuilder(command + arguments).redirectErrorStream(true).start()
        val lines = process.inputStream.bufferedReader().lineSequence()
        assertTrue(lines.any { it == "tapping" })
        // Long enough to reach the disk, too short for much more; either way it must not be there twice.
        delay(5)
        process.destroyForcibly()
        assertTrue(process.waitFor(20, TimeUnit.SECONDS))
        withPhone(folder) { app ->
            assertEquals(CacheStart.Kept, app.cacheStart())
            val known = checkNotNull(app.cachedHome()).of(2_000).filter { it.fromThisPhone }
            app.resume()
            val after = app.refreshHome().of(2_000).filter { it.fromThisPhone }
            assertEquals(known.map { it.id }, after.map { it.id }.filter { it in known.map(TopUpView::id) })
            assertTrue(after.size <= 1, "$after")
            assertTrue(after.none { it.state is TopUpState.Queued }, "$after")
        }
    }

    @Test
    fun `a screen that closes loses nothing`() = runBlocking<Unit> {
        withPhone(folder) { app ->
            app.enter()
            val wallet = app.refreshHome().wallet(2)
            val tap = launch(start = CoroutineStart.UNDISPATCHED) { app.startTopUp(wallet.id, 5_613, PayBy.NOTICE) }
            tap.cancelAndJoin()
            assertTrue(tap.isCancelled)
            val sent = { checkNotNull(app.cachedHome()).of(5_613).filter { it.state is TopUpState.Payable } }
            withTimeout(SOON) {
                while (sent().isEmpty()) app.resume()
            }
            assertEquals(1, app.refreshHome().of(5_613).size)
        }
    }

    @Test
    fun `devices are listed, and this one ended is a sign-out`() = runBlocking<Unit> {
        withPhone(folder) { app ->
            val account = app.enter("amina.diallo").key
            app.registerPush("a-token-of-firebase", Platform.ANDROID)
            val device = withTimeout(SOON) {
                var own = app.devices(account).single { it.current }
                while (!own.hasPush) own = app.devices(account).single { it.current }
                own
            }
            assertEquals("a test" to "This device", device.name to device.sentence)
            assertTrue(app.recoveries(account).isEmpty())
            val wrong = runCatching { app.changePassword(account, "not hers", "la nonna prende il treno") }.exceptionOrNull()
            assertEquals(Reason.WRONG_CREDENTIALS, (wrong as BorsellinoException.Refused).refusal.reason)
            app.revokeDevice(account, device.session)
            assertTrue(app.accounts().isEmpty())
            assertNull(app.cachedHome())
        }
    }

    @Test
    fun `a slow Keystore never holds up the thread that asks`() = runBlocking<Unit> {
        val files = store(folder)
        val slow = object : SecureStore by files {
            override fun set(key: String, value: ByteArray) {
                Thread.sleep(300)
                files.set(key, value)
            }
        }
        // One thread for all of it, as on a screen: it goes on while the app core opens and signs in.
        var ticks = 0
        val ticking = launch {
            while (true) {
                delay(10)
                ticks++
            }
        }
        val app = Borsellino.open(config(folder), slow)
        app.enter("amina.diallo")
        ticking.cancel()
        assertTrue(ticks > 30, "$ticks")
        app.shutdown()
    }

    @Test
    fun `after shutdown nothing is left that runs or calls`() = runBlocking<Unit> {
        val app = phone(folder)
        app.enter()
        var after = false
        var late = 0
        val watch = app.watch(object : Listener {
            override fun onEvent(event: Event) {
                if (after) late++
                error("the screen is gone")
            }
        })
        app.refreshHome()
        assertTrue("borsellino" in threads())
        app.shutdown()
        after = true
        assertFalse("borsellino" in threads(), "${threads()}")
        val refused = async { runCatching { app.refreshHome() }.exceptionOrNull() }
        assertTrue(refused.await() is BorsellinoException.Closed)
        assertNotNull(app.cachedHome())
        assertEquals(0, late)
        watch.stop()
        watch.close()
        app.close()
        assertTrue(runCatching { app.cachedHome() }.exceptionOrNull() is IllegalStateException)
    }

    /** The threads of this process by their names in the kernel: those of the library are none of the JVM's. */
    private fun threads(): List<String> =
        File("/proc/self/task").listFiles().orEmpty().mapNotNull { runCatching { File(it, "comm").readText().trim() }.getOrNull() }

    @Test
    fun `the first screen shows what was known, then what is so`() = runBlocking<Unit> {
        withPhone(folder) { app ->
            val screen = FirstScreen(app, Language.ENGLISH, this)
            assertTrue(screen.screen.value.signedOut)
            screen.signIn(Demo.code, "maria.bianchi", "wrong").join()
            assertNotNull(screen.screen.value.trouble)
            screen.signIn(Demo.code, "maria.bianchi", PASSWORD).join()
            val home = checkNotNull(screen.screen.soon { it.live && it.home != null }.home)
            val wallet = home.wallet(3)
            screen.topUp(wallet.id, 615, PayBy.ONLINE).join()
            val page = checkNotNull(screen.screen.value.page) { "${screen.screen.value}" }
            screen.pageOpened()
            Demo.payPage(page)
            screen.screen.soon { it.home?.wallet(3)?.balance?.cents == wallet.balance.cents + 615 }
            screen.stop()

            // The next start paints before it asks anybody.
            val again = FirstScreen(app, Language.ENGLISH, this)
            assertEquals(wallet.balance.cents + 615, again.screen.value.home?.wallet(3)?.balance?.cents)
            withTimeout(SOON) { again.signIn("1", "", "").join() }
            assertEquals("The activation code has 10 digits: check the municipality's letter.", again.screen.value.trouble)
        }
    }
}
