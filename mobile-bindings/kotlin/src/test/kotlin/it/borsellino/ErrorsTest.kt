// Every way of going wrong that a phone can bring about, as the app sees it.
package it.borsellino

import java.io.File
import java.net.InetAddress
import java.net.ServerSocket
import java.nio.file.Path
import java.util.UUID
import kotlin.concurrent.thread
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assertions.fail
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class ErrorsTest {
    @TempDir
    lateinit var folder: Path

    private suspend inline fun <reified E : Throwable> thrown(crossinline work: suspend () -> Any?): E {
        val found = runCatching { work() }.exceptionOrNull()
        return found as? E ?: fail("no ${E::class.simpleName}, but $found")
    }

    private suspend fun invalid(work: suspend () -> Any?) = thrown<BorsellinoException.Invalid> { work() }.what

    private suspend fun refused(work: suspend () -> Any?) = thrown<BorsellinoException.Refused> { work() }.refusal

    @Test
    fun `what is not of its form`() = runBlocking<Unit> {
        for (url in listOf("", "http://mensa.example", "ftp://127.0.0.1", "https://")) {
            assertEquals(InvalidInput.SERVER_URL, invalid { phone(folder, url) }, url)
        }
        withPhone(folder) { app ->
            assertEquals(InvalidInput.ACTIVATION_CODE, invalid { app.activate("12 34") })
            assertEquals(InvalidInput.CREDITOR, invalid { app.signIn("1", "x", "y") })
            assertEquals(InvalidInput.ACCOUNT, invalid { app.useAccount("nobody") })
            app.enter()
            val wallet = app.refreshHome().wallet().id
            assertEquals(InvalidInput.ID, invalid { app.startTopUp("no id", 2_000, PayBy.ONLINE) })
            assertEquals(InvalidInput.ID, invalid { app.movements("no id") })
            assertEquals(InvalidInput.TOP_UP, invalid { app.retryTopUp(UUID.randomUUID().toString()) })
            for (cents in listOf(0, -1, Long.MAX_VALUE, Long.MIN_VALUE)) {
                assertEquals(InvalidInput.AMOUNT, invalid { app.startTopUp(wallet, cents, PayBy.ONLINE) }, "$cents")
            }
            assertEquals(InvalidInput.AMOUNT, invalid { parseAmount("venti") })
            assertEquals(2_050, parseAmount("20,50"))
        }
    }

    @Test
    fun `what the server refuses`() = runBlocking<Unit> {
        withPhone(folder) { app ->
            assertEquals(Reason.UNKNOWN_ACTIVATION_CODE, refused { app.activate("0000000000") }.reason)
            val creditor = app.activate(Demo.code).fiscalCode
            val wrong = suspend { refused { app.signIn(creditor, "nobody.of.these.tests", "wrong") } }
            val first = wrong()
            assertEquals(Reason.WRONG_CREDENTIALS, first.reason)
            assertFalse(first.sentence.isBlank())
            repeat(3) { wrong() }
            val later = wrong()
            assertEquals(Reason.TRY_LATER, later.reason)
            assertTrue(checkNotNull(later.retryAfterMs) > 0uL)
            app.enter()
            val home = app.refreshHome()
            val below = app.startTopUp(home.wallet().id, 1, PayBy.NOTICE)
            val refusal = (below.state as TopUpState.Refused).v1
            assertEquals(Reason.BELOW_MINIMUM to 500L, refusal.reason to refusal.limitCents)
            assertTrue(app.cachedHome()!!.topUps.any { it.id == below.id })
            app.dismiss(below.id)
            assertTrue(app.cachedHome()!!.topUps.none { it.id == below.id })
            val unknown = app.startTopUp(UUID.randomUUID().toString(), 2_000, PayBy.NOTICE)
            assertEquals(Reason.UNKNOWN_WALLET, (unknown.state as TopUpState.Refused).v1.reason)
            app.dismiss(unknown.id)
            assertEquals(Reason.UNKNOWN_BILL, refused { app.payBill(UUID.randomUUID().toString()) }.reason)
        }
    }

    /** A listener on a port of its own that does `what` with each line it gets. */
    private fun stranger(what: (java.net.Socket) -> Unit): Pair<ServerSocket, String> {
        val listener = ServerSocket(0, 50, InetAddress.getLoopbackAddress())
        thread(isDaemon = true) {
            while (true) {
                val line = runCatching { listener.accept() }.getOrNull() ?: return@thread
                thread(isDaemon = true) { runCatching { what(line) } }
            }
        }
        return listener to "http://127.0.0.1:${listener.localPort}"
    }

    @Test
    fun `what is wrong with the network`() = runBlocking<Unit> {
        val free = ServerSocket(0).use { it.localPort }
        withPhone(folder.resolve("a"), "http://127.0.0.1:$free") { app ->
            thrown<BorsellinoException.Offline> { app.activate(Demo.code) }
        }
        val (silent, quiet) = stranger { Thread.sleep(60_000) }
        withPhone(folder.resolve("b"), quiet) { app ->
            // A question that only reads: that no answer came is no more than offline.
            thrown<BorsellinoException.Offline> { app.activate(Demo.code) }
        }
        silent.close()
        val (portal, page) = stranger {
            it.getOutputStream().write("HTTP/1.1 302 Found\r\nlocation: http://login.example/\r\n\r\n".toByteArray())
            it.close()
        }
        withPhone(folder.resolve("c"), page) { app ->
            val found = runCatching { app.activate(Demo.code) }.exceptionOrNull()
            val expected = found is BorsellinoException.NotOurServer || found is BorsellinoException.Offline
            assertTrue(expected, "$found")
        }
        portal.close()
    }

    @Test
    fun `a payment whose answer is lost is never taken for a failure`() = runBlocking<Unit> {
        Network().use { network ->
            withPhone(folder, network.url) { app ->
                app.enter()
                val home = app.refreshHome()
                network.cut()
                val found = runCatching { app.payBill(home.bills.last().id) }.exceptionOrNull()
                val expected = found is BorsellinoException.OutcomeUnknown || found is BorsellinoException.Offline
                assertTrue(expected, "$found")
                thrown<BorsellinoException.Offline> { app.refreshHome() }
                assertEquals(home.children, app.cachedHome()?.children)
            }
        }
    }

    @Test
    fun `a session that is over`() = runBlocking<Unit> {
        withPhone(folder) { app ->
            thrown<BorsellinoException.SignedOut> { app.refreshHome() }
            thrown<BorsellinoException.SignedOut> { app.signOut() }
            val nobody = object : Listener {
                override fun onEvent(event: Event) = Unit
            }
            thrown<BorsellinoException.SignedOut> { app.watch(nobody) }
        }
    }

    private class Broken(private val failure: Exception) : SecureStore {
        override fun get(key: String): ByteArray? = throw failure
        override fun set(key: String, value: ByteArray) = throw failure
        override fun remove(key: String) = throw failure
    }

    @Test
    fun `each failure of the phone's storage`() = runBlocking<Unit> {
        val failures = listOf(
            SecureStoreException.Locked() to SecureStoreException.Locked::class,
            SecureStoreException.Denied() to SecureStoreException.Denied::class,
            SecureStoreException.Failed() to SecureStoreException.Failed::class,
            // What no Keystore should throw, and some do.
            IllegalStateException("-68") to SecureStoreException.Failed::class,
        )
        for ((failure, why) in failures) {
            val found = thrown<BorsellinoException.SecureStore> { Borsellino.open(config(folder), Broken(failure)) }
            assertEquals(why, found.why::class)
        }
        val file = File(folder.toFile(), "file").apply { writeText("no folder") }
        val inFile = config(folder).copy(dataDir = file.path)
        val io = thrown<BorsellinoException.Cache> { Borsellino.open(inFile, store(folder)) }
        assertEquals(CacheProblem.Io, io.why)

        withPhone(folder.resolve("full")) { it.enter() }
        val full = config(folder.resolve("full")).copy(maxCachePages = 1u)
        val app = Borsellino.open(full, store(folder.resolve("full")))
        val problem = thrown<BorsellinoException.Cache> {
            repeat(200) { app.startTopUp(UUID.randomUUID().toString(), 700, PayBy.NOTICE) }
        }
        assertEquals(CacheProblem.Full, problem.why)
        assertTrue(problem.sentence(Language.ITALIAN).startsWith("Il telefono è pieno"))
        app.shutdown()
    }

    @Test
    fun `a cache that lost its key is built anew`() = runBlocking<Unit> {
        withPhone(folder) { it.enter() }
        val other = InsecureFileStore(File(folder.toFile(), "other"))
        val app = Borsellino.open(config(folder), other)
        assertEquals(CacheStart.Rebuilt(RebuildReason.WRONG_KEY, 0uL), app.cacheStart())
        app.shutdown()
    }

    @Test
    fun `every error has a sentence in every language`() {
        val refusal = Refusal(Reason.OTHER, "Chiama l'ufficio.", null, null, true, null)
        val errors = listOf(
            BorsellinoException.Offline(), BorsellinoException.OutcomeUnknown(), BorsellinoException.NotOurServer(),
            BorsellinoException.CertificateTime(), BorsellinoException.OlderServer(), BorsellinoException.Refused(refusal),
            BorsellinoException.SignedOut(), BorsellinoException.NoRandomness(), BorsellinoException.Wiped(),
            BorsellinoException.BeingPaid(InProgress(null, null, "In corso.")), BorsellinoException.Closed(),
        ) + InvalidInput.entries.map { BorsellinoException.Invalid(it) } +
            listOf(SecureStoreException.Locked(), SecureStoreException.Denied(), SecureStoreException.Failed())
                .map { BorsellinoException.SecureStore(it) } +
            listOf(CacheProblem.Full, CacheProblem.Corrupt, CacheProblem.Sealed, CacheProblem.Io, CacheProblem.Sqlite(8))
                .map { BorsellinoException.Cache(it) }
        assertEquals(BorsellinoException::class.java.permittedSubclasses.toSet(), errors.map { it.javaClass }.toSet())
        for (error in errors) {
            assertTrue(Language.entries.all { error.sentence(it).endsWith(".") }, "$error")
        }
        assertEquals("Chiama l'ufficio.", BorsellinoException.Refused(refusal).sentence(Language.GERMAN))
    }
}
