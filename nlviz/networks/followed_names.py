"""Names of operations, by what each does to the places of its elements."""

ONE_BY_ONE = frozenset(
    """abs absolute neg negative exp exp2 expm1 log log1p log2 sqrt rsqrt pow square sin cos erf
    reciprocal sign round floor ceil clamp clamp_min clamp_max clip nan_to_num float_power
    relu relu6 gelu silu elu selu celu leaky_relu prelu mish hardswish hardtanh hardsigmoid sigmoid
    logsigmoid tanh softplus softsign softshrink hardshrink tanhshrink threshold rrelu
    dropout dropout1d dropout2d dropout3d feature_dropout alpha_dropout feature_alpha_dropout
    batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm normalize
    masked_fill contiguous detach float half double bfloat16 to type type_as cuda cpu requires_grad_
    neg__ pow__ abs__ pos__ rpow__ expit native_layer_norm renorm fill_diagonal""".split()
)
STRUCTURE = frozenset(
    """permute transpose flatten unflatten ravel squeeze unsqueeze expand expand_as
    repeat repeat_interleave getitem__ chunk split split_with_sizes tensor_split unsafe_chunk
    unsafe_split unbind narrow select index_select gather take_along_dim cat concat concatenate
    stack hstack vstack dstack roll flip fliplr flipud rot90 pixel_shuffle
    pixel_unshuffle channel_shuffle native_channel_shuffle movedim moveaxis swapaxes swapdims t
    view_as reshape_as broadcast_to diagonal tile adjoint unsafe_split_with_sizes iter__
    positive data as_strided atleast_1d atleast_2d atleast_3d tolist""".split()
)
TOGETHER = frozenset(
    """add sub subtract rsub mul multiply div divide true_divide floor_divide maximum minimum fmax
    fmin lerp addcmul addcdiv atan2 hypot remainder fmod where
    add__ radd__ iadd__ sub__ rsub__ isub__ mul__ rmul__ imul__ truediv__ rtruediv__ itruediv__
    floordiv__ div__ idiv__""".split()
)
IN_PLACE = frozenset("iadd__ isub__ imul__ itruediv__ ifloordiv__ idiv__ ipow__".split())
MEANS = frozenset(
    "mean sum amax amin norm std var logsumexp nanmean nansum median max min frobenius_norm "
    "vector_norm prod".split()
)
PRODUCTS = frozenset(
    "linear bilinear matmul bmm mm mv addmm baddbmm einsum tensordot matmul__ rmatmul__".split()
)
ATTENTION = frozenset(
    "softmax log_softmax gumbel_softmax cdist cosine_similarity pairwise_distance".split()
)
EMPTY = frozenset(
    "zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones new_empty "
    "new_full".split()
)
CUT_OUT = frozenset("roi_align roi_pool ps_roi_align ps_roi_pool".split())
MASKS = frozenset(
    "eq ne lt le gt ge isnan isinf isfinite eq__ ne__ lt__ le__ gt__ ge__ all any bool".split()
)
