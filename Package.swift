// swift-tools-version: 6.1
import PackageDescription

// Kernels are compiled with optimisation in debug builds too, or tests crawl. Each body is compiled once per
// instruction set and chosen at run time, so the package never raises the compiler's baseline.
let kernelFlags: [CSetting] = [.unsafeFlags(["-O3", "-fno-math-errno", "-fno-trapping-math"])]

// ICNN_WITHOUT_MPI=1 builds the single-process trainer on machines that have no MPI.
let withMPI = Context.environment["ICNN_WITHOUT_MPI"] == nil

let swiftSettings: [SwiftSetting] = [.enableUpcomingFeature("ExistentialAny")]
let communicationSettings: [SwiftSetting] = swiftSettings + (withMPI ? [.define("WITH_MPI")] : [])

let package = Package(
  name: "InterpretableCNN",
  products: [.executable(name: "icnn", targets: ["icnn"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
    .package(url: "https://github.com/hummingbird-project/swift-mustache", exact: "2.1.1"),
  ],
  targets: [
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(
      name: "CTurboJPEG", pkgConfig: "libturbojpeg", providers: [.apt(["libturbojpeg0-dev"])]),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .systemLibrary(name: "CExif", pkgConfig: "libexif", providers: [.apt(["libexif-dev"])]),
    .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
    .systemLibrary(name: "CZip", pkgConfig: "libzip", providers: [.apt(["libzip-dev"])]),
    .systemLibrary(name: "CMatIO", pkgConfig: "matio", providers: [.apt(["libmatio-dev"])]),
    .target(name: "CKernels", cSettings: kernelFlags),
    // C, because it forks: damaged MATLAB files are read in a child process.
    .target(name: "CMATReader", dependencies: ["CMatIO"]),
    .target(name: "MATFiles", dependencies: ["CMATReader"], swiftSettings: swiftSettings),
    .target(name: "Tensors", dependencies: ["CKernels", "COpenBLAS"], swiftSettings: swiftSettings),
    .target(name: "Networks", dependencies: ["Tensors", "CKernels"], swiftSettings: swiftSettings),
    .target(
      name: "Datasets",
      dependencies: ["Tensors", "CKernels", "MATFiles", "CTurboJPEG", "CPNG", "CExif", "CXXHash"],
      swiftSettings: swiftSettings),
    .target(
      name: "Communication", dependencies: ["CKernels"] + (withMPI ? ["CMPI"] : []),
      swiftSettings: communicationSettings),
    .target(
      name: "Weights",
      dependencies: [
        "Networks", "Datasets", "MATFiles", "Tensors", "CXXHash", "CZip",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["ONNX/ONNX.proto"],
      swiftSettings: swiftSettings),
    .target(
      name: "Training",
      dependencies: [
        "Networks", "Datasets", "Communication", "Tensors", "Weights", "CXXHash", "Yams",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["TensorBoard/Event.proto"],
      swiftSettings: swiftSettings),
    .target(
      name: "Interpretability",
      dependencies: [
        "Networks", "Datasets", "Tensors", .product(name: "Mustache", package: "swift-mustache"),
      ],
      // Inside the executable: a copied icnn writes reports wherever it runs.
      resources: [.embedInCode("Report/Page")], swiftSettings: swiftSettings),
    .executableTarget(
      name: "icnn",
      dependencies: [
        "Training", "Interpretability", "Networks", "Datasets", "Communication", "Tensors", "Weights",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: swiftSettings),
    .target(
      name: "TestSupport", dependencies: ["Tensors", "Networks", "Datasets"], path: "Tests/TestSupport",
      swiftSettings: swiftSettings),
    // Takes the place of malloc in the test program and counts its calls.
    .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
    // Run under mpirun by CommunicationTests: MPI starts once per process, so not in the test runner.
    .executableTarget(
      name: "CommunicationProbe", dependencies: ["Communication", "CKernels"],
      path: "Tests/CommunicationProbe",
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "BLASCoreProbe", dependencies: ["Tensors"], path: "Tests/BLASCoreProbe",
      swiftSettings: swiftSettings),
    .testTarget(
      name: "TensorsTests", dependencies: ["Tensors", "CKernels", "TestSupport", "BLASCoreProbe"],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "NetworksTests",
      dependencies: ["Networks", "Tensors", "Communication", "TestSupport"],
      resources: [.copy("Golden")], swiftSettings: swiftSettings),
    .testTarget(
      name: "MATFilesTests", dependencies: ["MATFiles", "CMatIO"], swiftSettings: swiftSettings),
    .testTarget(
      name: "DatasetsTests", dependencies: ["Datasets", "Tensors", "TestSupport", "CMatIO"],
      resources: [.copy("Samples")], swiftSettings: swiftSettings),
    .testTarget(
      name: "CommunicationTests",
      dependencies: ["Communication", "CommunicationProbe", "TestSupport"], swiftSettings: swiftSettings),
    .testTarget(
      name: "WeightsTests",
      dependencies: [
        "Weights", "MATFiles", "Training", "Networks", "Datasets", "Tensors", "TestSupport",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["ONNX/requirements.txt"],
      resources: [
        .copy("Samples"), .copy("PyTorch/evaluate_weights.py"), .copy("ONNX/evaluate_onnx.py"),
      ],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "TrainingTests",
      dependencies: [
        "Training", "Weights", "Networks", "Datasets", "Communication", "Tensors", "TestSupport",
        "AllocationCounter",
      ],
      exclude: ["TensorBoard/requirements.txt"], resources: [.copy("TensorBoard/read_events.py")],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "InterpretabilityTests",
      dependencies: ["Interpretability", "Networks", "Datasets", "Communication", "Tensors", "TestSupport"],
      resources: [.copy("Golden")], swiftSettings: swiftSettings),
    .testTarget(
      name: "DistributedTests", dependencies: ["icnn", "Communication", "TestSupport"],
      swiftSettings: swiftSettings),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .gnu17
)
if withMPI {
  package.targets.append(
    .systemLibrary(
      name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev", "openmpi-bin"])]))
}
