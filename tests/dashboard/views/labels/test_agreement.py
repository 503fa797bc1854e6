"""Agreement on the Labels page: the stored figures, or who is lacking to compare."""

from pathlib import Path

from pipeline.labels.candidates import own_candidates
from pipeline.labels.heads import PeoplesLabels
from pipeline.labels.labelled_prompt import labelled_prompt
from pipeline.text.lexicon import TokenLabel
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset, write_dataset
from store.documents.verdicts import read_verdicts
from store.schema.labels import LABELS
from tests.support import demo
from tests.support.app import OpenPage, plain_words
from tests.support.demo.labels import LABEL_PARAMS, groups_of
from tests.support.demo.verdicts import STRICT, TIMID, give_verdicts
from tests.support.demo_project import own

RATERS = ["lexicon", STRICT, TIMID, "human:Ada"]


def rewrite(root: Path) -> None:
    """Labels of which Ada's are the strict judge's."""
    folder = root / "artifacts" / "demo"
    give_verdicts(folder)
    verdicts, found = read_verdicts(folder), open_collection(folder / "candidates")
    prompts = demo.make_prompts()
    labels: dict[str, dict[int, TokenLabel]] = {
        prompt: {each.token: each.label for each in verdict.tokens}
        for prompt, verdict in verdicts[STRICT].items()
    }
    people = PeoplesLabels(labels={"Ada": labels}, rejections={})
    resolved = [
        labelled_prompt(
            prompt,
            own_candidates(found, prompt.hash),
            "general@1.0",
            {"domains": {}},
            verdicts,
            people,
            LABEL_PARAMS,
        )
        for prompt in prompts
    ]
    own(root, "labels")
    order = {"labels": LABEL_PARAMS.model_dump()}
    write_dataset(
        folder / "labels", LABELS, groups_of(resolved, prompts, RATERS), provenance={"parameters": order}
    )


def test_figures_of_each_pair(open_page: OpenPage, root: Path) -> None:
    rewrite(root)
    app = open_page("labels")
    assert not app.exception
    frame = next(each.value for each in app.dataframe if "kappa" in each.value)
    pairs = list(zip(frame["rater"], frame["against"], strict=True))
    assert pairs == [(STRICT, "human:Ada"), (TIMID, "human:Ada"), (TIMID, STRICT)]
    assert frame["agreement"].str.startswith("1").tolist() == [True, False, False]
    table = open_dataset(root / "artifacts/demo/labels", "agreement").sel(domain="all")
    assert frame["candidates"].tolist() == table["n_items"].values[:, 0].tolist()
    app.selectbox(key="confusion-pair").set_value(f"{TIMID} against human:Ada").run()
    counts = next(each.value for each in app.dataframe if "rater: evil" in each.value)
    assert counts["rater: evil"].sum() == 0
    assert counts.to_numpy().sum() == frame["candidates"][1]
    app.selectbox(key="agreement-domain").set_value("medical").run()
    assert not app.exception


def test_nobody_to_compare_is_said(open_page: OpenPage) -> None:
    app = open_page("labels")
    assert not app.exception
    assert "Nobody to compare yet" in plain_words(app)
