// The first screen of an app, without the widgets: what it shows is a value, what the parent does is a function. Nothing
// here is Android's, so that it is tested on the JVM; docs/first-screen-kotlin.md puts it on a screen.
package it.borsellino

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch

/** What is on the screen. */
data class Screen(
    /** The home screen as last known; null before the first one. */
    val home: HomeView? = null,
    /** Changes arrive as they happen. */
    val live: Boolean = false,
    /** Nobody is signed in: show the sign-in instead. */
    val signedOut: Boolean = false,
    /** A sentence for the parent, and what to do. */
    val trouble: String? = null,
    /** The pagoPA page to open in the browser, once. */
    val page: String? = null,
)

class FirstScreen(private val app: Borsellino, private val language: Language, private val scope: CoroutineScope) {
    private val shown = MutableStateFlow(Screen(home = app.cachedHome(), signedOut = app.accounts().isEmpty()))

    /** What is on the screen: at once what was known, then what the server says. */
    val screen: StateFlow<Screen> = shown

    private var watching: Job? = null

    /** The app came to the front. */
    fun start() {
        if (watching?.isActive == true || app.accounts().isEmpty()) return
        watching = scope.launch {
            refresh()
            attempt { app.events().collect(::happened) }
        }
    }

    /** The parent asks, or came back from pagoPA, or the network came back. */
    fun refresh() = scope.launch {
        // What waits is sent, what is on its way is asked for; the screen hears of it like of anything else.
        attempt { app.resume() }
    }

    /** The app went to the background. */
    fun stop() {
        watching?.cancel()
    }

    /** The parent signs in. */
    fun signIn(code: String, username: String, password: String) = scope.launch {
        attempt {
            val creditor = app.activate(code)
            app.signIn(creditor.fiscalCode, username, password)
            shown.update { it.copy(signedOut = false, trouble = null) }
            start()
        }
    }

    /** The parent taps an amount. */
    fun topUp(wallet: WalletId, amount: Amount, payBy: PayBy) = scope.launch {
        attempt {
            // Saved before it is sent. Even if this screen closes now, it is finished, once.
            val topUp = app.startTopUp(wallet, amount, payBy)
            shown.update { it.copy(home = app.cachedHome(), page = topUp.checkoutUrl, trouble = null) }
        }
    }

    /** The page was opened. */
    fun pageOpened() = shown.update { it.copy(page = null) }

    private fun happened(event: Event) = when (event) {
        is Event.ConnectionChanged -> connected(event.connection)
        // Each of these is followed by HomeChanged; an app may animate them.
        is Event.BalanceChanged, is Event.TopUpChanged, is Event.BillChanged -> Unit
        Event.HomeChanged -> shown.update { it.copy(home = app.cachedHome()) }
    }

    private fun connected(connection: Connection) = when (connection) {
        Connection.Live -> shown.update { it.copy(live = true, trouble = null) }
        is Connection.Lost -> shown.update { it.copy(live = false, trouble = connection.why.sentence(language)) }
        Connection.SignedOut -> shown.update { Screen(signedOut = true) }
    }

    private suspend fun attempt(work: suspend () -> Unit) {
        try {
            work()
        } catch (stopped: CancellationException) {
            throw stopped
        } catch (error: BorsellinoException.SignedOut) {
            shown.update { Screen(signedOut = true, trouble = error.sentence(language)) }
        } catch (error: BorsellinoException) {
            shown.update { it.copy(trouble = error.sentence(language)) }
        }
    }
}
