// A phone in a terminal, in Kotlin: the smallest whole app. `borsellino demo` in one terminal; here
//
//     mvn -q exec:exec -Dexec.args="-Djna.library.path=../../target/bindings/lib -cp %classpath it.borsellino.ConsoleKt \
//         http://127.0.0.1:8480 5645312010 maria.bianchi borsellino-demo /tmp/borsellino-console"
//
// With `tap` as a further word it taps 20 euro, says so, and waits to be killed: the tests do that.
package it.borsellino

import java.io.File
import java.io.IOException
import java.nio.file.Files
import java.nio.file.StandardCopyOption
import kotlin.system.exitProcess
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

/** For the terminal and for tests: files that whoever can read the folder can read. A real app never does this. */
class InsecureFileStore(private val folder: File) : SecureStore {
    override fun get(key: String): ByteArray? = File(folder, key).takeIf { it.exists() }?.readBytes()

    override fun set(key: String, value: ByteArray) = try {
        folder.mkdirs()
        val fresh = File(folder, "$key.new")
        fresh.outputStream().use {
            it.write(value)
            it.fd.sync()
        }
        Files.move(fresh.toPath(), File(folder, key).toPath(), StandardCopyOption.ATOMIC_MOVE)
        Unit
    } catch (_: IOException) {
        throw SecureStoreException.Failed()
    }

    override fun remove(key: String) {
        File(folder, key).delete()
    }
}

private fun show(home: HomeView) {
    println("\n${home.creditor.name} - ${home.guardianName} (${home.asOfText})")
    for (child in home.children) {
        println("\n${child.name} ${child.className}, ${child.school}")
        for (wallet in child.wallets) {
            println("  %-26s %12s   %s".format(wallet.serviceName, wallet.balanceText, wallet.covers.orEmpty()))
        }
    }
    home.topUps.forEach { println("  ${it.amount.text} ${it.serviceName}: ${it.sentence} ${it.checkoutUrl.orEmpty()}") }
}

fun main(args: Array<String>): Unit = runBlocking {
    val (url, code, username, password, data) = args
    val store = InsecureFileStore(File(data, "secrets"))
    val app = Borsellino.open(Config(File(data, "cache").path, url, Language.ITALIAN), store)
    try {
        app.cachedHome()?.let(::show)
        if (app.accounts().isEmpty()) {
            app.signIn(app.activate(code).fiscalCode, username, password)
        }
        show(app.refreshHome())
        val live = launch {
            app.events().collect {
                when (it) {
                    is Event.BalanceChanged -> println(it.change.sentence)
                    is Event.TopUpChanged -> println("${it.topUp.amount.text}: ${it.topUp.sentence}")
                    else -> Unit
                }
            }
        }
        val wallet = checkNotNull(app.cachedHome()).children.first().wallets.first()
        if (args.last() == "tap") {
            println("tapping")
            app.startTopUp(wallet.id, 2_000, PayBy.NOTICE)
        }
        println("\nr: 20 € for ${wallet.spoken}; any other line ends")
        while (readlnOrNull() == "r") {
            val topUp = app.startTopUp(wallet.id, 2_000, PayBy.ONLINE)
            println("${topUp.sentence}\n${topUp.checkoutUrl.orEmpty()}")
        }
        live.cancel()
    } catch (error: BorsellinoException) {
        println("! ${error.sentence(Language.ITALIAN)}")
    }
    app.shutdown()
    // JNA's and the dispatcher's threads are daemons, but not all of the JVM's are.
    exitProcess(0)
}
