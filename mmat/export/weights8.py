"""The large weights of a LiteRT file in 8 bits, a quarter of the size; it computes in float32.

The converter's own way brings the activations to 8 bits too, which networks of separable
convolutions, such as YAMNet, bear badly. Here each filter's weights become int8 under a scale of
its own, and the runtime turns them back into float32 when it opens the file.
"""

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

# Elements of the smallest that are: the kernels of few are sensitive, and make up little.
LEAST_ELEMENTS = 1 << 15
WITH_WEIGHTS = {schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED}
WEIGHTS_AT = 1  # among an operation's inputs
PER_CHANNEL_VERSION = 5  # of the operation that turns them back


def with_8_bit_weights(content: bytes) -> bytes:
    """Return a LiteRT file in which the large weights of convolutions and products are int8."""
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    rounded = {}  # by the number of a buffer of floats: the number of that of int8, and the scales
    for graph in model.subgraphs:
        floats = {}  # by the number of the tensor that is int8 now
        for operator in graph.operators:
            if codes[operator.opcodeIndex] not in WITH_WEIGHTS:
                continue
            number = operator.inputs[WEIGHTS_AT]
            tensor = graph.tensors[number]
            if number not in floats and _is_large(model, tensor):
                if tensor.buffer not in rounded:  # signatures share their weights
                    rounded[tensor.buffer] = _to_int8(model, tensor)
                floats[number] = _as_int8(graph, tensor, *rounded[tensor.buffer])
        _read_floats(graph, floats, opcode=len(codes))
    read = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    for number in set(rounded) - read:
        model.buffers[number].data = None
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = PER_CHANNEL_VERSION
    model.operatorCodes.append(code)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _is_large(model, tensor) -> bool:
    data = model.buffers[tensor.buffer].data
    is_float = tensor.type == schema.TensorType.FLOAT32
    return is_float and data is not None and len(data) >= 4 * LEAST_ELEMENTS


def _to_int8(model, tensor) -> tuple[int, np.ndarray]:
    """Add a buffer of weights, filters first, in int8; return its number and its scales."""
    floats = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32)
    weights = floats.reshape(tensor.shape[0], -1)
    scales = np.abs(weights).max(axis=1) / 127
    scales = np.where(scales > 0, scales, 1).astype(np.float32)
    buffer = schema.BufferT()
    buffer.data = np.round(weights / scales[:, np.newaxis]).astype(np.int8).view(np.uint8).ravel()
    model.buffers.append(buffer)
    return len(model.buffers) - 1, scales


def _as_int8(graph, tensor, buffer: int, scales: np.ndarray) -> int:
    """Declare a tensor as int8; return the number of a new one, what it is in float32."""
    turned = schema.TensorT()
    turned.name, turned.shape = tensor.name + b"/float32", tensor.shape
    turned.shapeSignature, turned.hasRank = tensor.shapeSignature, tensor.hasRank
    turned.type = schema.TensorType.FLOAT32
    graph.tensors.append(turned)
    tensor.buffer = buffer
    tensor.type, tensor.quantization = schema.TensorType.INT8, schema.QuantizationParametersT()
    tensor.quantization.scale = scales
    tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    return len(graph.tensors) - 1


def _read_floats(graph, floats: dict[int, int], opcode: int) -> None:
    """Let a graph turn its int8 tensors into their floats first, and all operations read those."""
    for operator in graph.operators:
        operator.inputs = np.int32([floats.get(number, number) for number in operator.inputs])
    turns = []
    for number, turned in floats.items():
        turn = schema.OperatorT()
        turn.opcodeIndex, turn.inputs, turn.outputs = opcode, [number], [turned]
        turn.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
        turn.builtinOptions = schema.DequantizeOptionsT()
        turns.append(turn)
    graph.operators = turns + list(graph.operators)
