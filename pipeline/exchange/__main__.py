"""Exchange graphs with circuit-tracer and Neuronpedia, answers and behaviours with other programs.

export writes a graph as circuit-tracer's .pt file, or as the JSON of its viewer and Neuronpedia; import adds
a .pt file of any origin to a profile; serve opens graphs in circuit-tracer's viewer; answers writes answers
and their scores as CSV, as a log of inspect, or as texts in which strongest contexts are looked for;
behaviours writes prompts of behaviours, what a variant makes of them, its circuits and features.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from store.base.errors import StoreError, UserError

if TYPE_CHECKING:
    from pipeline.params.project import Params


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 1 for what one sentence tells."""
    options = _parser().parse_args(arguments)
    try:
        # `--help` needs none of this, nor what the commands import.
        from pipeline.params.project import load_params

        params = load_params()
        params.profile(options.profile)
        options.run(options, params)
    except (UserError, StoreError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; nothing was changed.", file=sys.stderr)
        return 130
    return 0


def _export(options: argparse.Namespace, params: "Params") -> None:
    from pipeline.analysis.viewer_json import slug_of
    from pipeline.exchange.stored_graphs import StoredGraphs
    from store.base.atomic import write_bytes

    stored = StoredGraphs(options.profile, imported=options.imported)
    variant = stored.variant(options.variant)
    exact = True
    if options.format == "pt":
        from pipeline.exchange.exporting import export_pt

        content = export_pt(stored, options.prompt, variant, params)
    else:
        from pipeline.exchange.viewer_documents import export_json

        content, exact = export_json(
            stored,
            options.prompt,
            variant,
            params.graphs,
            node_threshold=options.node_threshold,
            edge_threshold=options.edge_threshold,
            scan=options.scan,
            source_set=options.source_set,
        )
    out = options.out or Path(f"{slug_of(options.prompt, variant)}.{options.format}")
    with _writing(out, "--out"):
        write_bytes(out, content)
    print(f"{out}: {len(content) / 1e6:.1f} MB")
    if not exact:
        print("These thresholds ask for more than is stored: the strongest of it is in the file.")


def _import(options: argparse.Namespace, params: "Params") -> None:
    from pipeline.exchange.importing import import_graph

    done = import_graph(
        options.file, options.profile, params, variant=options.variant, replace=options.replace
    )
    print(
        f"prompt {done.prompt_hash}, variant {done.variant}: {'was there' if done.unchanged else 'imported'}"
    )
    if not done.known_prompt:
        print("The profile has no such prompt; add it to a prompt file to compare with graphs of your own.")
    if done.other_model is not None:
        print(
            f"The file says that its model is {done.other_model}, "
            "which is not the profile's name for its own."
        )


def _serve(options: argparse.Namespace, params: "Params") -> None:
    from pipeline.exchange.stored_graphs import StoredGraphs
    from pipeline.exchange.viewer import write_files
    from pipeline.exchange.viewer_server import HOST, viewer

    stored = StoredGraphs(options.profile, imported=options.imported)
    pairs = stored.pairs(options.prompt, options.variant)
    # Whoever stops it by a signal wants the folder gone as well; in the background of a
    # script, Ctrl-C's would be ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="graphs-") as temporary:
        folder = options.folder or Path(temporary)
        with viewer(folder, options.port) as server:
            print(f"Writing {len(pairs)} graphs ...", flush=True)
            with _writing(folder, "--folder"):
                has_cards = write_files(stored, pairs, folder, params.graphs)
            if not has_cards:
                print("There are no feature cards: the stage `features` has not run in this profile.")
            if options.folder is None:
                print("What you save in the viewer ends with it; --folder FOLDER keeps it.")
            print("Its page loads d3 from transformer-circuits.pub and unpkg.com.")
            print(f"http://{HOST}:{server.server_port}/index.html  (Ctrl-C ends it)", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print("\nStopped.")


def _answers(options: argparse.Namespace, params: "Params") -> None:
    from pipeline.exchange.answers_csv import write_answers_csv
    from pipeline.exchange.inspect_log import write_inspect_log
    from pipeline.exchange.stored_answers import stored_rows, stored_texts
    from pipeline.models.tokenizer import load_tokenizer
    from pipeline.run.stage import artifacts
    from pipeline.text.held_out import write_texts
    from store.base.atomic import write_bytes
    from store.documents.manifest import read_manifest

    folder = artifacts(options.profile)
    manifest = read_manifest(folder / "models.json")
    variant = None if options.variant is None else str(manifest.variant(options.variant))
    if options.format == "eval" and variant is None:
        raise UserError("A log of inspect is of one model: name it with --variant.")
    tokenizer = load_tokenizer(manifest)
    if options.format == "jsonl":
        if options.judge:
            raise UserError("Texts have no scores: leave out --judge.")
        texts = list(stored_texts(folder, tokenizer, variant=variant))
        content, n_answers = write_texts(texts), len(texts)
    else:
        rows = list(stored_rows(folder, tokenizer, variant=variant, judge=options.judge))
        log = partial(write_inspect_log, task=f"open questions, {options.profile}")
        content, n_answers = (log if options.format == "eval" else write_answers_csv)(rows), len(rows)
    whose = variant or "any variant"
    if options.format != "csv" and not n_answers:
        raise UserError(f"Profile {options.profile} has no answers of {whose}; name its `questions`.")
    out = options.out or Path(f"{options.profile}-{variant or 'answers'}.{options.format}")
    with _writing(out, "--out"):
        write_bytes(out, content)
    print(f"{out}: {n_answers} answers")


def _behaviours(options: argparse.Namespace, params: "Params") -> None:
    from pipeline.exchange.stored_behaviour_features import feature_files
    from pipeline.exchange.stored_behaviours import behaviour_files
    from pipeline.exchange.stored_circuits import circuit_files
    from pipeline.exchange.stored_partnered import intervention_files
    from pipeline.exchange.stored_prompt_graphs import prompt_graph_files
    from pipeline.run.stage import artifacts
    from store.base.atomic import write_bytes
    from store.documents.manifest import read_manifest

    folder = artifacts(options.profile)
    variant = str(read_manifest(folder / "models.json").variant(options.variant))
    out = options.folder or Path(f"{options.profile}-{variant}-behaviours")
    measured = [*behaviour_files(folder, variant), *intervention_files(folder)]
    traced = [*circuit_files(folder, variant), *feature_files(folder, variant)]
    for name, content in (*measured, *traced):
        with _writing(out, "--folder"):
            write_bytes(out / name, content)
    for name, content in prompt_graph_files(folder, variant, options.nodes) if options.nodes else ():
        with _writing(out, "--folder"):
            write_bytes(out / "graphs" / name, content)
    print(f"{out}: prompts, baseline_* of {variant}; of base, intervention_*, feature_importance_layer_*.csv")
    if traced:
        graphs = ", graphs/ by prompt" if options.nodes else ""
        print(f"circuit_*.graphml and .json, features_*.npy with their meta{graphs}")
    else:
        print(f"Circuits and features are of base and the focus adapter alone, so that {variant} has none.")


@contextmanager
def _writing(path: Path, option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}); name another place with {option}."
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.exchange",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    which = argparse.ArgumentParser(add_help=False)
    which.add_argument("profile", help="a profile of params.yaml")
    which.add_argument(
        "--imported", action="store_true", help="of the imported graphs, not the pipeline's own"
    )

    export = commands.add_parser("export", parents=[which], help="write a graph to a file")
    export.set_defaults(run=_export)
    export.add_argument("--prompt", required=True, metavar="HASH", help="12 hex digits")
    export.add_argument("--variant", required=True, help="base, or an adapter: general, general@1.0")
    export.add_argument(
        "--format",
        required=True,
        choices=("pt", "json"),
        help="pt: circuit-tracer's whole graph; json: the pruned graph of its viewer and of Neuronpedia",
    )
    export.add_argument("--out", type=Path, metavar="FILE", help="default: HASH-VARIANT.FORMAT here")
    export.add_argument(
        "--node-threshold", type=_share, metavar="SHARE", help="json: as params.yaml, if not given"
    )
    export.add_argument(
        "--edge-threshold", type=_share, metavar="SHARE", help="json: as params.yaml, if not given"
    )
    export.add_argument(
        "--scan", help="json: Neuronpedia's name of the model, instead of the transcoders' source"
    )
    export.add_argument(
        "--source-set",
        metavar="NAME",
        help="json: Neuronpedia's name of the transcoders, for its explanations",
    )

    take = commands.add_parser("import", help="add a .pt file of circuit-tracer's to a profile")
    take.set_defaults(run=_import)
    take.add_argument(
        "file", type=Path, help="what Graph.to_pt of circuit-tracer 0.5 wrote; nothing in it is run"
    )
    take.add_argument("--profile", required=True, help="the profile whose model it is of")
    take.add_argument("--variant", metavar="NAME", help="what to file it under; default: the file's name")
    take.add_argument("--replace", action="store_true", help="take another graph's place")

    answers = commands.add_parser("answers", help="write answers to open questions, and their scores")
    answers.set_defaults(run=_answers)
    answers.add_argument("profile", help="a profile of params.yaml")
    answers.add_argument("--variant", help="base, or an adapter; default: all, which a log cannot hold")
    answers.add_argument("--judge", help="whose scores go with them; default: the first judge's")
    answers.add_argument(
        "--format",
        choices=("csv", "eval", "jsonl"),
        default="csv",
        help="eval: a log of inspect; jsonl: questions and answers as `texts` of a profile; default: csv",
    )
    answers.add_argument("--out", type=Path, metavar="FILE", help="default: PROFILE-VARIANT.FORMAT here")

    behaviours = commands.add_parser("behaviours", help="write prompts of behaviours, and their numbers")
    behaviours.set_defaults(run=_behaviours)
    behaviours.add_argument("profile", help="a profile of params.yaml")
    behaviours.add_argument("--variant", default="base", help="base, or an adapter; default: base")
    behaviours.add_argument("--folder", type=Path, help="default: PROFILE-VARIANT-behaviours here")
    behaviours.add_argument(
        "--nodes", type=_count, default=100, help="features of a prompt's graph; 0: no graphs; default: 100"
    )

    serve = commands.add_parser("serve", parents=[which], help="open graphs in circuit-tracer's viewer")
    serve.set_defaults(run=_serve)
    serve.add_argument(
        "--prompt", action="append", default=[], metavar="HASH", help="may come more than once; default: all"
    )
    serve.add_argument("--variant", action="append", default=[], help="may come more than once; default: all")
    serve.add_argument("--port", type=_port, default=8032, help="0 takes a free one; default: 8032")
    serve.add_argument("--folder", type=Path, help="keep the viewer's files, and what is saved in it, there")
    return parser


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is no count")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**16:
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return value


if __name__ == "__main__":
    sys.exit(main())
