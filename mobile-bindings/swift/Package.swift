// swift-tools-version:5.9
// The Swift side of the bindings. `./build-xcframework` (on a Mac) makes what the binary target and the generated source are;
// neither is committed. README.md says which commands to run, and what nobody has run yet.
import PackageDescription

let package = Package(
    name: "BorsellinoKit",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "BorsellinoKit", targets: ["BorsellinoKit"])],
    targets: [
        // The Rust library and its C header.
        .binaryTarget(name: "BorsellinoFFI", path: "BorsellinoFFI.xcframework"),
        // Generated/BorsellinoKit.swift, and what is written by hand.
        .target(name: "BorsellinoKit", dependencies: ["BorsellinoFFI"]),
        .testTarget(name: "BorsellinoKitTests", dependencies: ["BorsellinoKit"]),
    ]
)
