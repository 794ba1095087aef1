// Documents in a host: fetched, there without the network, refused.
package it.borsellino

import java.io.File
import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assertions.fail
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class DocumentsTest {
    @TempDir
    lateinit var folder: Path

    private suspend fun refused(work: suspend () -> Any?): Reason {
        val found = runCatching { work() }.exceptionOrNull()
        val refusal = (found as? BorsellinoException.Refused)?.refusal ?: fail("no refusal, but $found")
        assertTrue(refusal.sentence.isNotEmpty())
        return refusal.reason
    }

    private fun isPdf(content: ByteArray) = content.decodeToString(0, 5) == "%PDF-"

    @Test
    fun `a document is fetched, and there without the network`() = runBlocking<Unit> {
        Network().use { network ->
            withPhone(folder, network.url) { app ->
                val account = app.enter().key
                val home = app.refreshHome()
                val notice = Document.Notice(NoticeOf.Bill(home.bills[0].id))
                val child = home.children[0].id
                val fresh = app.documents(account, notice).single()
                assertEquals("application/pdf" to false, fresh.mediaType to fresh.fromCache)
                assertTrue(isPdf(fresh.content) && fresh.name.endsWith(".pdf"), fresh.name)
                assertEquals(Reason.YEAR_INVALID, refused { app.documents(account, Document.Certificate(child, 1999u)) })

                network.cut()
                val kept = app.documents(account, notice).single()
                assertTrue(kept.fromCache && kept.asOfText.startsWith("updated"), kept.asOfText)
                assertArrayEquals(fresh.content, kept.content)
                assertEquals(fresh.asOf, kept.asOf)
                val never = Document.Statement(home.wallet().id, "2026-01-01", "2026-02-01")
                assertTrue(runCatching { app.documents(account, never) }.exceptionOrNull() is BorsellinoException.Offline)
                assertEquals(Reason.PERIOD_INVALID, refused { app.documents(account, never.copy(to = "?")) })
                val payment = PaymentOf.TopUp("01900000-0000-7000-8000-000000000001")
                network.mend()
                assertEquals(
                    Reason.UNKNOWN_TOP_UP, refused { app.documents(account, Document.Receipts(payment, ReceiptFormat.XML)) },
                )
                assertTrue(app.documentLink(account, notice).url.startsWith("http"))
                assertTrue(runCatching { app.documents("nobody", notice) }.exceptionOrNull() is BorsellinoException.Invalid)
            }
        }
    }

    @Test
    fun `a screen leaves no file behind`() = runBlocking<Unit> {
        Network().use { network ->
            withPhone(folder, network.url) { app ->
                val account = app.enter().key
                val notice = NoticeOf.Bill(app.refreshHome().bills[0].id)
                val files = File(folder.toFile(), "documents")
                val screen = DocumentScreen(app, account, files, Language.ENGLISH, this)
                screen.open(Document.Notice(notice)).join()
                assertTrue(isPdf(screen.screen.value.files.single().readBytes()))
                assertNull(screen.screen.value.asOf)
                network.cut()
                screen.open(Document.Notice(notice)).join()
                assertNotNull(screen.screen.value.asOf)
                assertNull(screen.screen.value.trouble)
                screen.send(notice, " ").join()
                assertEquals("This is not an e-mail address: please check it.", screen.screen.value.trouble)
                screen.close()
                assertFalse(files.exists())
            }
        }
    }
}
