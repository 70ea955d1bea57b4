"""What most labels say in the same words: text that zlib may refer to, by the version of a frame.

Changing one makes another version: what was packed with the former cannot be read with it.
"""

from __future__ import annotations


def _first() -> bytes:
    edges = [m * 2.0**e for e in range(-17, 13) for m in (1.0, 1.25, 1.5, 1.75)]
    signed = [*(-edge for edge in reversed(edges)), 0.0, *edges]
    return f"{','.join(map(repr, signed))}{_WORDS}{_LABEL}".encode()


def _second() -> bytes:
    """With a label by rules as a whole, but for what is its own."""
    return _first() + (_RESULTS + _HEAD + _BY_RULES + _STATS + _ENDS).encode()


_WORDS = (
    '{"window":"stratum":{"name":"band0","n_windows":32,"n_sampled":9,"low":0.4375,"high":0.75,'
    '"joint":true},"strata":["top","band4","band3","band2","band1","band0"],"peak":1.'
    '"verdict":null,"probability":null,"failure":null,"truth":null,"senses":null'
    '"the real activations are constant""the predictions are constant"'
    '"is undefined""not tried: there is nothing to choose from"'
    '"mass":{"name":"mass","value":0.,"low":null,"high":null,"n_windows":40,"reason":null},"gain":'
    '"n_places":12,"doubt":null},"kind":"positive","near_miss","shortened","deleted","same_kind",'
    '"stranger","sense":0,"text":"","expected":true,"level":,"changed":"","fires_from":3.0},'
    '"kind":"token","piece","phrase","topic","position","other","mixed","activation":null,'
    '"program":null},{"description":"","level":10.0,"kind":"token","activation":0.'
    '{"rules":[],[],["],"results":[{"scorer":"rules","the token ","the tokens ""levels by logprobs"'
    '{"scorer":"simulation_senses_null",'
    '{"scorer":"simulation_senses","over_broader","over_narrower","added","survived",'
    '"mass_explained","iou","recall","ev_correlation"'
    '["population","top_random","random","cosine","top","silent","band4","band3","band2","band1",'
    '"band0","auprc","auroc","f1","iou","balanced_accuracy","accuracy","precision","recall",'
    '"chance_p","over_null","over_lookup"],"reason":["notes":[],"strata":["band1","band0","top"]},'
    '{"scorer":"rules_null","explanation":"","scores":["population","top_random","random","cosine",'
    '"top","band3","band2","band1","band0"],"notes":[],"strata":["band1","band0","top"]},{"scorer":'
    '"lookup","explanation":"the token table","scores":["population","top_random","random",'
    '"cosine","top","band2","band1","band0"],"notes":[]}],{"scorer":"rules","explanation":"'
)
_LABEL = (
    '{"schema":1,"kind":"label","value":{"unit":{"subject":"smollm2-135m","hook":'
    '"blocks.5.mlp.hook_post","index":4},"side":"negative","side":"positive","status":"no_signal",'
    '"status":"ok","reason":null,"explanation":{"text":"the tokens \\"","explainer":'
    '"token_activation","token_lookup","model":null,"prompt":{"name":"explain_senses","version":'
    '"v1","digest":"","temperature":0.0,"model":null,"prompt":null,"temperature":null,"sample":0,'
    '"rules":[],"program":null,"senses":[{"description":"","background":0.0},'
    '"rules":[],"program":null},"validation_score":null,"reason":"not tried: there is nothing to '
    'choose from","chosen":true}],"candidates":[{"explanation":{"text":"","results":[],'
    '"preferred":"simulation","preferred":"rules","stats":{"n_tokens":,'
    '"n_windows":,"mean":0.0,"variance":0.0,"minimum":-1.,"maximum":,"density":0.,'
    '"window_density":1.0,"histogram":[1,1,2,3,4],"bin_edges":[],"quantiles":[[0.25,0.],[0.5,0.],'
    '[0.75,0.],[0.9,0.],[0.95,0.],[0.99,1.]]},"top_tokens":["provenance":{"package_version":'
    '"0.1.0","subject":"smollm2-135m","subject_revision":"bac68de1ca99e847","dtype":"float32",'
    '"tokenizer":"TokenizersBackend:450fd25da1a689ff:bos=1","corpus":"wiki","corpus_hash":'
    '"afee4ca2bde03460642e57246be7dc54f066a1702efbdc2e366f88a98bc0a693","n_tokens":,"n_ctx":64,'
    '"seed":0,"split_hash":"","collect_hash":"","explainer_model":null,"scorer_model":null,'
    '"prompts":[],"encoders":[]},"failures":[],"promoted":[""],"suppressed":[""],"llm":'
    '{"explanation":"rules":{"explanation":{"text":"the tokens \\"","scorer":"rules"}}}'
)
_NULLS = '["population","top_random","random","cosine","top","band2","band1","band0"]'
_SCORES = (
    f'{_NULLS[:-1]},"auprc","auroc","f1","iou","balanced_accuracy","accuracy","precision","recall",'
    '"chance_p","over_null","over_lookup"]'
)
_STRATA = '"notes":[],"strata":["top","band2","band0","band1"]}'
_RESULTS = (
    f'{{"rules":[],"results":[{{"scorer":"rules","explanation":"the tokens \\"","scores":{_SCORES},'
    f'{_STRATA},{{"scorer":"rules_null","explanation":"the tokens \\"","scores":{_NULLS},{_STRATA},'
    '{"scorer":"lookup","explanation":"mean activation of each token over explain text",'
    f'"scores":{_NULLS},"notes":[],"strata":[]}}]}}'
)
_HEAD = (
    '{"schema":1,"kind":"label","value":{"unit":{"subject":"smollm2-135m","hook":'
    '"blocks.5.mlp.hook_post","index":1},"side":"negative","status":"ok","reason":null,'
)
_EXPLANATION = (
    '"explanation":{"text":"the tokens \\"","explainer":"token_lookup","model":null,"prompt":null,'
    '"temperature":null,"sample":0,"rules":[],"program":null}'
)
_BY_RULES = (
    f'{_EXPLANATION},"candidates":[{{{_EXPLANATION},"validation_score":null,"reason":'
    '"not tried: there is nothing to choose from","chosen":true}],"results":[],"preferred":"rules",'
)
_STATS = (
    '"stats":{"n_tokens":0,"n_windows":0,"mean":0.0,"variance":0.0,"minimum":0.0,"maximum":0.0,'
    '"density":0.0,"window_density":0.0,"histogram":[],"bin_edges":[],"quantiles":[]},'
)
_ENDS = (
    '"top_tokens":[],"provenance":{"package_version":"0.1.0","subject":"smollm2-135m",'
    '"subject_revision":"bac68de1ca99e847","dtype":"float32","tokenizer":'
    '"TokenizersBackend:450fd25da1a689ff:bos=1","corpus":"wiki","corpus_hash":'
    '"afee4ca2bde03460642e57246be7dc54f066a1702efbdc2e366f88a98bc0a693","n_tokens":32810,'
    '"n_ctx":64,"seed":0,"split_hash":"","collect_hash":"","explainer_model":null,'
    '"scorer_model":null,"prompts":[],"encoders":[]},"failures":[],"promoted":[],"suppressed":[],'
    f'"rules":{{{_EXPLANATION},"scorer":"rules"}}}}}}'
)
KNOWN = {1: _first(), 2: _second(), 3: _second()}
"""By the version of the frame."""
