// What a parent does before anybody is in, without the widgets: to get an account with a code from the office, and to get back
// into it. Nothing here is Android's, so that it is tested on the JVM.
package it.borsellino

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch

/** What is on the screens before anybody is in. */
data class Entrance(
    /** The recovery that is under way: show its two digits. */
    val recovery: RecoveryView? = null,
    /** What was proved so far; ask for the new password once it is enough. */
    val proofs: Proofs? = null,
    /** The parent is in: show the first screen; and the user name, in case it was forgotten. */
    val account: AccountView? = null,
    val username: String? = null,
    /** A sentence for the parent, and what to do. */
    val trouble: String? = null,
)

class EntranceScreen(private val app: Borsellino, private val language: Language, private val scope: CoroutineScope) {
    private val shown = MutableStateFlow(Entrance())

    /** What is on the screen. */
    val screen: StateFlow<Entrance> = shown

    /** The screen opens: an app that was killed while the parent read the e-mail goes on. */
    fun open() = attempt { shown.update { it.copy(recovery = app.recovery()) } }

    /** The first time, with the ten digits of the letter and the fifteen characters from the office. */
    fun register(code: String, fiscalCode: String, officeCode: String, username: String, password: String) = attempt {
        val creditor = app.activate(code)
        // Without an answer tap again: who has registered already is signed in.
        val account = app.register(creditor.fiscalCode, fiscalCode, officeCode, username, password)
        shown.update { Entrance(account = account) }
    }

    /** The password is forgotten. `who` is the user name or the codice fiscale. */
    fun forgot(code: String, who: String) = attempt {
        val recovery = app.startRecovery(app.activate(code).fiscalCode, who)
        shown.update { Entrance(recovery = recovery) }
    }

    fun proveOffice(code: String) = attempt { proved(app.proveOffice(code)) }

    fun proveEmail(code: String) = attempt { proved(app.proveEmail(code)) }

    /** The parent has confirmed on another device, or comes back to this screen. */
    fun look() = attempt { proved(app.proofs()) }

    private fun proved(proofs: Proofs) = shown.update { it.copy(proofs = proofs, trouble = null) }

    /** The new password, once the proofs are enough. */
    fun finish(newPassword: String) = attempt {
        val recovered = app.finishRecovery(newPassword)
        shown.update { Entrance(account = recovered.account, username = recovered.username) }
    }

    private fun attempt(work: suspend () -> Unit) = scope.launch {
        try {
            work()
        } catch (stopped: CancellationException) {
            throw stopped
        } catch (error: BorsellinoException) {
            // What has ended is begun again; everything else is tried again where it is.
            val ended = error is BorsellinoException.Refused && error.refusal.reason == Reason.RECOVERY_ENDED
            shown.update { if (ended) Entrance() else it }
            shown.update { it.copy(trouble = error.sentence(language)) }
        }
    }
}
