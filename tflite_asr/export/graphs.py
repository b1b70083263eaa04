"""The graphs of a .tflite: which of them a signature runs, which variables they take, and what nothing uses."""

from collections.abc import Collection, Iterator

from ai_edge_litert import schema_py_generated as schema

OP = schema.BuiltinOperator
# how options of operators name the graphs that these run
GRAPH_FIELDS = ("thenSubgraphIndex", "elseSubgraphIndex", "condSubgraphIndex", "bodySubgraphIndex", "initSubgraphIndex")


def code_of(model: schema.ModelT, operator: schema.OperatorT) -> int:
    """The builtin that an operator is."""
    entry = model.operatorCodes[operator.opcodeIndex]
    return max(entry.builtinCode, entry.deprecatedBuiltinCode)


def graphs_of(model: schema.ModelT, signatures: Collection[str]) -> set[int]:
    """The graphs that these signatures run, the branches and bodies of loops in them too."""
    found: set[int] = set()
    waiting = [entry.subgraphIndex for entry in model.signatureDefs if entry.signatureKey.decode() in signatures]
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            for operator in model.subgraphs[index].operators:
                waiting += [inner for inner, _ in entered(model, operator)]
    return found


def entered(model: schema.ModelT, operator: schema.OperatorT) -> Iterator[tuple[int, list[int]]]:
    """The graphs that an operator runs, each with the tensors that it hands to them."""
    code, options = code_of(model, operator), operator.builtinOptions
    if code == OP.IF:
        yield options.thenSubgraphIndex, operator.inputs[1:]
        yield options.elseSubgraphIndex, operator.inputs[1:]
    elif code == OP.WHILE:
        yield options.condSubgraphIndex, operator.inputs
        yield options.bodySubgraphIndex, operator.inputs


def variables_of(model: schema.ModelT) -> list[dict[int, str]]:
    """For each graph, which variable a tensor is the handle of: handles go into branches and loops as inputs."""
    names: list[dict[int, str]] = [{} for _ in model.subgraphs]
    waiting = list(range(len(model.subgraphs)))
    while waiting:
        index = waiting.pop()
        graph, known = model.subgraphs[index], names[index]
        for operator in graph.operators:
            if code_of(model, operator) == OP.VAR_HANDLE:
                known[operator.outputs[0]] = operator.builtinOptions.sharedName.decode()
            for inner, passed in entered(model, operator):
                handles = {
                    own: known[given]
                    for own, given in zip(model.subgraphs[inner].inputs, passed)
                    if given in known and names[inner].get(own) != known[given]
                }
                if handles.keys() & names[inner].keys():
                    raise ValueError(f"one branch is given different variables: {sorted(handles.values())}")
                if handles:
                    names[inner] |= handles
                    waiting.append(inner)
    return names


def drop_signature(model: schema.ModelT, name: str) -> None:
    """Take out a signature and its graph, and number the other graphs anew.

    An empty graph must not stay: if it is the file's first one, as the names of the signatures may have it, the runtime
    applies XNNPACK to no graph at all.
    """
    for signature in [signature for signature in model.signatureDefs if signature.signatureKey == name.encode()]:
        model.signatureDefs.remove(signature)
        gone = signature.subgraphIndex
        del model.subgraphs[gone]
        operators = (operator for graph in model.subgraphs for operator in graph.operators)
        for holder in (*model.signatureDefs, *(operator.builtinOptions for operator in operators)):
            for field in ("subgraphIndex", *GRAPH_FIELDS):
                index = getattr(holder, field, None)
                if index is not None and index > gone:
                    setattr(holder, field, index - 1)


def drop_handles(model: schema.ModelT) -> None:
    """Take out the handles that nothing uses any more."""
    for graph in model.subgraphs:
        used = {int(i) for operator in graph.operators for i in operator.inputs} | {int(i) for i in graph.outputs}
        graph.operators = [
            operator
            for operator in graph.operators
            if code_of(model, operator) != OP.VAR_HANDLE or int(operator.outputs[0]) in used
        ]
