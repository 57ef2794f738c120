"""Time the training step that `lower.py` wrote, on JAX's first device. Needs JAX and NumPy alone.

    python run.py step --steps 40

Each step begins with the weights and moments of the one before: the loss must fall. JAX's compiler
of HLO has no public interface; this is for JAX 0.11, and another may want other words.
"""

import argparse
import statistics
import time

import numpy as np

FIRST_MOVED = 3  # after the waveform, the weak labels and the step's number
WARM_STEPS = 2
CLIPS = 2_500_000  # of the authors' training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40, help="(default 40)")
    parser.add_argument("name", help="of the files that lower.py wrote, without their ending")
    arguments = parser.parse_args()
    try:
        import jax
    except ImportError:
        parser.exit(2, "run.py: JAX is missing; install it for this device, as jax[cuda13]\n")
    try:
        with open(f"{arguments.name}.hlo", "rb") as file:
            hlo = file.read()
        with np.load(f"{arguments.name}.npz", allow_pickle=False) as kept:
            values = [kept[f"p{i}"] for i in range(len(kept.files))]
    except OSError as error:
        parser.exit(2, f"run.py: {error.filename}: {error.strerror}; lower.py writes it\n")
    device = jax.devices()[0]
    print(f"JAX {jax.__version__}, {device.device_kind}")
    began = time.perf_counter()
    step = compiled(hlo, device)
    print(f"compiled in {time.perf_counter() - began:.1f} s")
    losses, seconds = [], []
    parameters = [jax.device_put(x, device) for x in values]
    for number in range(1, arguments.steps + 1):
        parameters[2] = jax.device_put(np.float32(number), device)
        began = time.perf_counter()
        loss, *moved = step(parameters)
        losses.append(float(np.asarray(loss)))  # waits for the step's end
        seconds.append(time.perf_counter() - began)
        parameters[FIRST_MOVED : FIRST_MOVED + len(moved)] = moved
    print(f"loss {losses[0]:.4f} ... {losses[-1]:.4f}")
    batch_size, timed = len(values[0]), sorted(seconds[WARM_STEPS:])
    middle = statistics.median(timed)
    print(
        f"step of {batch_size} clips: {1e3 * middle:.1f} ms ({1e3 * timed[0]:.1f} to "
        f"{1e3 * timed[-1]:.1f}), {batch_size / middle:.0f} clips a second, {CLIPS:,} clips in "
        f"{CLIPS / batch_size * middle / 3600:.2f} h without their reading"
    )


def compiled(hlo: bytes, device):
    """Return the program of a serialized HLO as a function of its parameters, for a device."""
    from jax._src import xla_bridge
    from jax._src.lib import xla_client

    module = xla_client._xla.mlir.xla_computation_to_mlir_module(xla_client.XlaComputation(hlo))
    # StableHLO has no copy; a barrier is one that the compiler keeps.
    module = str(module).replace("mhlo.copy", "stablehlo.optimization_barrier")
    devices = xla_client.DeviceList((device,))
    program = xla_bridge.get_backend().compile_and_load(
        module, devices, xla_client.CompileOptions()
    )

    def step(parameters):
        results = program.execute_sharded(parameters)
        return [x[0] for x in results.disassemble_into_single_device_arrays()]

    return step


if __name__ == "__main__":
    main()
