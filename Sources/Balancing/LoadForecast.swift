/// How long a worker may take to load a model, before anybody saw it do so.
package enum LoadForecast {
    /// An SSD of a Mac reads five times as much; weights are also mapped, checked and copied to the GPU.
    static let bytesPerSecond = 1e9
    static let secondsBeyond = 30.0
    static let secondsMin = 60.0
    package static let secondsMax = 900.0

    /// What a load usually takes, for choosing and not for giving up; `seen`: what loads there took, the longest.
    package static func usual(_ model: WorkerModel, seen: Double?) -> Double {
        seen ?? max(1, model.weightBytes / bytesPerSecond)
    }

    /// A Mac with the most memory there is.
    static let memoryGBMax = 512

    /// After how long an ordered load is given up. A model of unknown size may be as large as its Mac's memory.
    package static func seconds(of model: WorkerModel, memoryGB: Int?) -> Double {
        let bytes = model.isSizeKnown ? model.weightBytes : Double(memoryGB ?? memoryGBMax) * 1e9
        return min(max(bytes / bytesPerSecond + secondsBeyond, secondsMin), secondsMax)
    }

    /// After how long the first token of a worker that loads by itself is given up; the next question finds it further on.
    /// Of the largest of the models, since any of them may be the one.
    package static func seconds(of models: [WorkerModel]) -> Double {
        let bytes = models.map(\.weightBytes).max() ?? 0
        return min(max(bytes / bytesPerSecond + secondsBeyond, secondsMin), secondsMax)
    }
}

extension WorkerModel {
    var isSizeKnown: Bool { bytes != nil || parametersBillions != nil }

    /// Of a model of unknown size: what most fleets serve.
    package var weightBytes: Double {
        if let bytes { return Double(bytes) }
        let billions = parametersBillions ?? activeBillions ?? ChipPriors.usualBillions
        return billions * 1e9 * ChipPriors.bytesPerParameter(bits: bits ?? ChipPriors.usualBits)
    }
}
