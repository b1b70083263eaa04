"""Products of rows and a kernel, in the form that TFLite computes fastest, forward and backward.

TFLite makes FULLY_CONNECTED of a plain product, which XNNPACK leaves alone when the kernel is a variable: 10 to 20 ms
against 2.3 at [200, 256] times [256, 2048]. BATCH_MATMUL it takes. It copies the second factor into an order of its own
before each product, so the smaller one stands there where there is a choice. What is as large as the kernel is not
reshaped: that would be a copy too.
"""

import tensorflow as tf

from signatures.order import after
from tflite_asr.ops.gradients import WithGradient
from tflite_asr.ops.low_rank import LowRankKernel
from tflite_asr.ops.saved import saved

Kernel = tf.Tensor | tf.Variable | LowRankKernel


def _rows(x: tf.Tensor) -> tf.Tensor:
    """[..., d] -> [n, d]."""
    return tf.reshape(x, [-1, x.shape[-1]])


def _multiply(a: tf.Tensor, b: tf.Tensor, transpose_a: bool = False, transpose_b: bool = False) -> tf.Tensor:
    """a b of matrices, either transposed if asked for; `tf.matmul` would make another op of it."""
    return tf.raw_ops.BatchMatMulV2(x=a, y=b, adj_x=transpose_a, adj_y=transpose_b)


def product(x: tf.Tensor, kernel: Kernel) -> tf.Tensor:
    """x kernel: [..., d] times [d, e] -> [..., e]."""
    if isinstance(kernel, LowRankKernel):
        return _plain_product(x, kernel.kernel) + _low_rank_part(x, kernel)
    return _plain_product(x, kernel)


def saved_product(x: tf.Tensor, kernel: Kernel) -> tf.Tensor:
    """`product` for a layer whose forward pass may run again in its backward pass: the result can be saved, see
    `ops.saved`."""
    if isinstance(kernel, LowRankKernel):
        return _saved_product(x, kernel.kernel) + _low_rank_part(x, kernel)
    return _saved_product(x, kernel)


def _low_rank_part(x: tf.Tensor, kernel: LowRankKernel) -> tf.Tensor:
    """x A B."""
    return _plain_product(_plain_product(x, kernel.down), kernel.up)


def merged(kernel: Kernel) -> tf.Tensor | tf.Variable:
    """W + A B of a `LowRankKernel`, for an op that does not multiply by `product`; any other kernel as it is."""
    if isinstance(kernel, LowRankKernel):
        return kernel.kernel + _plain_product(tf.convert_to_tensor(kernel.down), kernel.up)
    return kernel


@tf.custom_gradient
def _plain_product(x: tf.Tensor, kernel: tf.Tensor) -> WithGradient:
    return _product(x, kernel), lambda dy: _gradients(x, kernel, dy)


@tf.custom_gradient
def _saved_product(x: tf.Tensor, kernel: tf.Tensor) -> WithGradient:
    (y,) = saved(1, lambda: [_product(x, kernel)], recomputable=True)
    return tf.identity(y), lambda dy: _gradients(x, kernel, dy)


def _product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    # all rows along one axis of three: of two, the converter makes x's own axes again, and XNNPACK then multiplies
    # pieces as small as the last of them: [200, 2, 320] times [320, 1280] in 10.4 ms, [1, 400, 320] in 3.2
    return tf.reshape(_multiply(tf.expand_dims(_rows(x), 0), kernel), [*x.shape[:-1], kernel.shape[1]])


def _gradients(x: tf.Tensor, kernel: tf.Tensor, dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    dx = input_gradient(dy, kernel)
    return dx, kernel_gradient(x, after(dy, dx))  # the kernel is no longer needed, its gradient may take its place


def input_gradient(dy: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The gradient of `product` at x: dx = dy kernel^T, [..., e] and [d, e] -> [..., d]."""
    # three axes, since with two this is a FULLY_CONNECTED however it is written
    dx = _multiply(kernel, tf.expand_dims(_rows(dy), 0), transpose_b=True)
    return tf.reshape(tf.transpose(dx, [0, 2, 1]), [*dy.shape[:-1], kernel.shape[0]])


def kernel_gradient(x: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """The gradient of `product` at the kernel: dkernel = x^T dy, [..., d] and [..., e] -> [d, e]."""
    return _multiply(_rows(x), _rows(dy), transpose_a=True)


def dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """x kernel + bias: [..., d], [d, e], [e] -> [..., e]."""
    return product(x, kernel) + bias


def saved_dense(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """The same by `saved_product`."""
    return saved_product(x, kernel) + bias
