// What the tests stand on: a demo to speak to, a network that can be cut, a phone of one test.
package it.borsellino

import java.io.File
import java.net.HttpURLConnection
import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import java.net.SocketException
import java.net.URI
import java.nio.file.Path
import java.time.Duration
import kotlin.concurrent.thread
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.withTimeout

/** How long a test waits for what should come at once. */
val SOON = 20.seconds

const val PASSWORD = "borsellino-demo"

/** A running `borsellino demo`, shared by all tests: they take different families or amounts. */
object Demo {
    private val line: String
    val server: String
    private val sandbox: String
    val code: String
    private val creditor: String

    init {
        val program = checkNotNull(System.getProperty("borsellino.server")) { "run the tests with Maven" }
        val ports = listOf("--port", "0", "--node-port", "0", "--sandbox-port", "0")
        val process = ProcessBuilder(listOf(program, "demo", "--json") + ports)
            .redirectError(ProcessBuilder.Redirect.DISCARD).start()
        Runtime.getRuntime().addShutdownHook(thread(start = false) { process.destroy() })
        line = checkNotNull(process.inputStream.bufferedReader().readLine()) { "the demo did not start" }
        server = text("grpc")
        sandbox = text("sandbox")
        code = text("activation_code")
        creditor = text("fiscal_code")
    }

    private fun text(name: String) = checkNotNull(Regex("\"$name\":\"([^\"]*)\"").find(line)) { line }.groupValues[1]

    private fun post(path: String, body: String): String {
        val call = URI(sandbox + path).toURL().openConnection() as HttpURLConnection
        call.requestMethod = "POST"
        call.doOutput = true
        call.setRequestProperty("content-type", "application/json")
        call.outputStream.use { it.write(body.toByteArray()) }
        return call.inputStream.bufferedReader().readText()
    }

    /** Pays on the pagoPA page at `url`. */
    fun payPage(url: String) = check("\"paid\"" in post("/api/carts/${url.substringAfterLast('/')}/pay", "{}"))

    /** Pays at the tobacconist's. */
    fun payNotice(number: String) =
        check("\"paid\"" in post("/api/notices/pay", """{"creditor":"$creditor","notice_number":"$number"}"""))
}

/** A network between phone and server that can be cut, and mended. */
class Network : AutoCloseable {
    private val listener = ServerSocket(0, 50, InetAddress.getLoopbackAddress())
    private val target = URI(Demo.server)
    private val lines = mutableListOf<Socket>()

    @Volatile
    private var cut = false

    val url = "http://127.0.0.1:${listener.localPort}"

    init {
        thread(isDaemon = true) {
            while (true) {
                val phone = try { listener.accept() } catch (_: SocketException) { return@thread }
                if (cut) phone.close() else join(phone, Socket(target.host, target.port))
            }
        }
    }

    private fun join(a: Socket, b: Socket) {
        synchronized(lines) { lines += listOf(a, b) }
        for ((from, to) in listOf(a to b, b to a)) {
            thread(isDaemon = true) {
                try {
                    from.getInputStream().transferTo(to.getOutputStream())
                } catch (_: SocketException) {
                    // Cut.
                }
                from.close()
                to.close()
            }
        }
    }

    /** From now on nothing comes through. */
    fun cut() {
        cut = true
        close(all = false)
    }

    fun mend() {
        cut = false
    }

    private fun close(all: Boolean) {
        if (all) listener.close()
        synchronized(lines) {
            lines.forEach(Socket::close)
            lines.clear()
        }
    }

    override fun close() = close(all = true)
}

/** As fast as a test wants it. */
val PACE = Pace(
    connect = Duration.ofSeconds(2), call = Duration.ofSeconds(3), patience = Duration.ofSeconds(3),
    silence = Duration.ofSeconds(45), firstWait = Duration.ofMillis(50), longestWait = Duration.ofMillis(200),
    gather = Duration.ofMillis(20),
)

fun store(folder: Path): SecureStore = InsecureFileStore(File(folder.toFile(), "secrets"))

fun config(folder: Path, url: String = Demo.server) =
    Config(File(folder.toFile(), "cache").path, url, Language.ENGLISH, "a test", PACE)

suspend fun phone(folder: Path, url: String = Demo.server): Borsellino = Borsellino.open(config(folder, url), store(folder))

suspend fun Borsellino.enter(username: String = "maria.bianchi"): AccountView =
    signIn(activate(Demo.code).fiscalCode, username, PASSWORD)

/** Opens a phone, does `work` with it, and shuts it down. */
suspend fun <T> withPhone(folder: Path, url: String = Demo.server, work: suspend (Borsellino) -> T): T {
    val app = phone(folder, url)
    try {
        return work(app)
    } finally {
        app.shutdown()
        app.close()
    }
}

fun HomeView.wallet(number: Int = 0): WalletView = children.flatMap { it.wallets }[number]

fun HomeView.of(cents: Long): List<TopUpView> = topUps.filter { it.amount.cents == cents }

suspend fun <T> Flow<T>.soon(wanted: (T) -> Boolean): T = withTimeout(SOON) { first { wanted(it) } }
