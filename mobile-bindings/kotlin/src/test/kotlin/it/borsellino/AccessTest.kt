// What the phone finds out about an account by itself, before it asks anybody.
package it.borsellino

import java.net.ServerSocket
import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assertions.fail
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class AccessTest {
    @TempDir
    lateinit var folder: Path

    /** Nobody listens there. */
    private val nowhere = "http://127.0.0.1:${ServerSocket(0).use { it.localPort }}"

    private suspend inline fun <reified E : Throwable> thrown(crossinline work: suspend () -> Any?): E {
        val found = runCatching { work() }.exceptionOrNull()
        return found as? E ?: fail("no ${E::class.simpleName}, but $found")
    }

    private suspend fun refused(work: suspend () -> Any?) = thrown<BorsellinoException.Refused> { work() }.refusal

    private suspend fun invalid(work: suspend () -> Any?) = thrown<BorsellinoException.Invalid> { work() }.what

    private val creditor = "99900010010"
    private val fiscalCode = "RSSMRT85C41H501A"
    private val good = "il gatto mangia alle sette"

    // The last two characters follow from the others.
    private val officeCode = "0R1GT-4V7ZK-92ME8"

    @Test
    fun `a slip of the pen is named without the network`() = runBlocking<Unit> {
        withPhone(folder, nowhere) { app ->
            val slip = refused { app.register(creditor, fiscalCode, "0R1GT-4V7ZK-92MZZ", "marta", good) }
            assertEquals(Reason.OFFICE_CODE_MISTYPED to null, slip.reason to slip.rule)
            assertTrue(slip.isFinal && slip.sentence.endsWith("."), slip.sentence)
            val name = refused { app.register(creditor, fiscalCode, officeCode, "m", good) }
            assertEquals(Reason.USERNAME_INVALID, name.reason)
            val rules = mapOf(
                "short" to PasswordRule.SHORT, "x".repeat(129) to PasswordRule.LONG, "123456789012" to PasswordRule.SIMPLE,
                "Password2026!" to PasswordRule.COMMON, "marta.2026.marta" to PasswordRule.PERSONAL,
            )
            for ((password, rule) in rules) {
                val refusal = refused { app.register(creditor, fiscalCode, officeCode, "marta", password) }
                assertEquals(Reason.PASSWORD_REFUSED to rule, refusal.reason to refusal.rule, password)
            }
            assertEquals(InvalidInput.FISCAL_CODE, invalid { app.register(creditor, "x", officeCode, "marta", good) })
            assertEquals(InvalidInput.CREDITOR, invalid { app.register("1", fiscalCode, officeCode, "marta", good) })
            // What is well typed goes out, and finds nobody.
            thrown<BorsellinoException.Offline> { app.register(creditor, fiscalCode, officeCode, "marta", good) }
            assertEquals(InvalidInput.ACCOUNT, invalid { app.changePassword("nobody", "x", good) })
        }
    }

    @Test
    fun `a recovery wants a beginning`() = runBlocking<Unit> {
        withPhone(folder, nowhere) { app ->
            assertNull(app.recovery())
            assertEquals(Reason.USERNAME_INVALID, refused { app.startRecovery(creditor, " ") }.reason)
            thrown<BorsellinoException.Offline> { app.startRecovery(creditor, "marta") }
            assertEquals(Reason.OFFICE_CODE_MISTYPED, refused { app.proveOffice("x") }.reason)
            assertEquals(InvalidInput.EMAIL_CODE, invalid { app.proveEmail("12") })
            for (step in listOf<suspend () -> Any?>({ app.proofs() }, { app.proveEmail("12345678") }, { app.finishRecovery(good) })) {
                assertEquals(Reason.RECOVERY_ENDED, refused { step() }.reason)
            }
            app.forgetRecovery()
            assertEquals(InvalidInput.ACCOUNT, invalid { app.recoveries("nobody") })
            assertEquals(InvalidInput.ACCOUNT, invalid { app.answerRecovery("nobody", "x") })
            assertEquals(InvalidInput.ACCOUNT, invalid { app.devices("nobody") })
            assertEquals(InvalidInput.ID, invalid { app.revokeDevice("nobody", "x") })

            val screen = EntranceScreen(app, Language.ENGLISH, this)
            screen.open().join()
            screen.look().join()
            assertEquals(Entrance(trouble = "This recovery has expired or was stopped: start again."), screen.screen.value)
        }
    }

    @Test
    fun `a push token is kept before anybody signs in`() = runBlocking<Unit> {
        withPhone(folder, nowhere) { app ->
            assertEquals(InvalidInput.PUSH_TOKEN, invalid { app.registerPush("a b", Platform.ANDROID) })
            app.registerPush("token", Platform.ANDROID)
            app.removePush()
            app.registerPush("token", Platform.ANDROID)
            val strange = app.pushReceived(mapOf("v" to "1", "id" to "a", "session" to "x", "seq" to "1"))
            assertEquals(PushNews(show = false, account = null, text = null), strange)
            assertFalse(app.pushReceived(emptyMap()).show)
        }
        val kept = store(folder)
        val full = object : SecureStore by kept {
            override fun set(key: String, value: ByteArray) = throw SecureStoreException.Denied()
        }
        val app = Borsellino.open(config(folder, nowhere), full)
        val problem = thrown<BorsellinoException.SecureStore> { app.registerPush("other", Platform.ANDROID) }
        assertTrue(problem.why is SecureStoreException.Denied)
        app.shutdown()
    }
}
