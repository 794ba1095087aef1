// The app core's events as an AsyncStream, and a push's data as it wants it.
import Foundation

/// Hands events on; never waits, because the app core must not wait for a screen.
private final class StreamListener: Listener, @unchecked Sendable {
    private let continuation: AsyncStream<Event>.Continuation

    init(_ continuation: AsyncStream<Event>.Continuation) {
        self.continuation = continuation
    }

    func onEvent(event: Event) throws {
        continuation.yield(event)
    }
}

extension Borsellino {
    /// What happens, in order, until the task that reads it is cancelled or the stream is let go of.
    ///
    /// Throws `signedOut` and `closed`.
    public func events() throws -> AsyncStream<Event> {
        let (stream, continuation) = AsyncStream<Event>.makeStream(bufferingPolicy: .unbounded)
        let watch = try self.watch(listener: StreamListener(continuation))
        continuation.onTermination = { _ in
            Task { await watch.stop() }
        }
        return stream
    }
}

extension BorsellinoError {
    /// What to tell the parent, in `language`.
    public func sentence(_ language: Language) -> String {
        errorSentence(error: self, language: language)
    }
}

/// What Firebase puts beside `aps`, for `pushReceived`.
public func pushData(_ userInfo: [AnyHashable: Any]) -> [String: String] {
    var data: [String: String] = [:]
    for case let (name as String, text as String) in userInfo { data[name] = text }
    return data
}
