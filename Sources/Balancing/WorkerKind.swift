/// Which inference server a worker runs. The wire's ways of each kind are `InferenceDialect`'s `WorkerDialect`.
package enum WorkerKind: String, CaseIterable, Sendable {
    case openAI = "openai"
    case mlxLM = "mlx_lm"
    case llamaCpp = "llama_cpp"
    case vllmMLX = "vllm_mlx"
    case exo
    case ollama
    case lmStudio = "lm_studio"
    case oMLX = "omlx"
}
