package enum SimulatorRoom {}
