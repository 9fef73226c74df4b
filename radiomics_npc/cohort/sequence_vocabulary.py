"""Words that names of MR series are made of, as Siemens, GE, Philips and hospitals write them."""

from __future__ import annotations

__all__ = ["AFTER", "BEFORE", "EXCLUDED", "FAT", "NEGATION", "PHRASES", "T1_KINDS", "TECHNIQUE", "TREATMENT"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Chinese, Japanese and Korean phrases.
PHRASES = {
    "平扫": "plain", "未增强": "plain", "无增强": "plain", "非增强": "plain", "不增强": "plain",
    "增强前": "plain", "增强": "contrast", "强化": "contrast", "造影前": "plain", "非造影": "plain",
    "単純": "plain", "造影": "contrast", "조영전": "plain", "조영": "contrast", "压脂": "fs", "抑脂": "fs",
    "脂肪抑制": "fs", "加权": "w", "定位": "localizer", "弥散": "dwi", "扩散": "dwi", "灌注": "perfusion",
    "动态": "dynamic", "减影": "subtraction", "重建": "reformat", "重组": "reformat", "血管": "mra",
    "波谱": "mrs", "磁敏感": "swi", "水成像": "mrcp", "压水": "flair", "黑水": "flair", "校准": "calibration",
    "横断": "ax", "横轴": "ax", "轴": "ax", "矢状": "sag", "冠状": "cor",
}  # fmt: skip
_OTHER = {
    "localizer": "localizer localiser loc locator scout survey surv pilot topogram plane3",
    "diffusion": """dwi dw diff diffusion adc eadc dadc isoadc dti trace tracew tensor ivim dki dwibs resolve
        ep2d ep3d epi fa apparent sdw ssdwi zoomit isodwi""",
    "perfusion or dynamic": """perf perfusion dsc dce dyn dynamic asl pasl pcasl twist tricks disco grasp ttp
        cbf cbv rcbf rcbv mtt ktrans multiphase 4d arterial venous portal""",
    "angiography or fluid imaging": """mra mrv tof angio angiography cemra mrangio inhance venogram mrcp hydro
        myelo myelogram mrm 3dpc bloodvessel""",
    "steady-state gradient echo": """ciss fiesta fiestac trufi trufisp truefisp bffe bssfp balanced bteffe""",
    "susceptibility or T2*": "swi swan swip venbold t2star t2s hemo haemo medic merge",
    "inversion recovery (STIR or TIRM)": "stir tirm tir",
    "map or synthetic image": """map maps mapping relaxometry rho t1rho t1map t2map synthetic syn symri magic
        mp2rage quant""",
    "subtraction": "sub subs subtr subtract subtraction subtracted substraction",
    "reformatted or processed": """mip mips minip reformat reformats reformatted refor projection proj curved
        vr vrt volren fusion fused screen screensave screensaves capture processed processedimages key
        keyimages posdisp""",
    "proton density": "pd pdw pdt2 pdfs proton",
    "calibration or map of the field": """cal calib calibration ref reference refscan coil shim fieldmap b1
        b1map b0map prescan phase noise sensitivity""",
    "functional, spectroscopic or exchange imaging": """bold fmri rest resting spectro spectroscopy mrs svs
        csi press elasto mre cest apt aptw cine umap mrac ute zte petra""",
    "no MR": "pet ct cbct",
}
#: Word to the reason why it rules out T1, T2 and CE-T1.
EXCLUDED = {word: reason for reason, words in _OTHER.items() for word in words.split()}
#: Contrast given.
AFTER = _words("""
    gd gad gado gadolinium gadavist gadovist dotarem clariscan magnevist prohance multihance omniscan
    gadoteric dtpa gddtpa gbca ce enh enhanced enhancement contrast contraste kontrast km mdc inj injection
    postcontrast postgd postgad postgado postkm postc postce nachkm gdc
""")
#: Before contrast, or without.
BEFORE = _words("""
    pre precontrast pregd pregad pregado prekm prec plain nativ native noncontrast noncon nongd unenhanced
    unenh nonenhanced nogd nocontrast wocontrast
""")
#: Words that turn one of AFTER around.
NEGATION = _words("without wo no non ohne vor sans sin senza before pre")
#: Words after "pre" or "post" that have nothing to do with contrast, or may not have.
TREATMENT = _words(
    "op rt radio radiation radiotherapy chemo tx treatment therapy surgery surg biopsy crt ccrt iac"
)
#: Sequences that are T1-weighted by their make.
T1_KINDS = _words("mprage bravo spgr fspgr vibe thrive ethrive lava tfl3d")
FAT = _words("fs fatsat fatsup spair spir spec spectral water chemsat fatsaturated fatsuppressed")
#: Planes and techniques, to take words without spaces apart.
TECHNIQUE = _words("""
    ax axi axial tra trans transverse transversal cor coronal sag sagittal obl oblique oax osag ocor 2d 3d wi
    weighted tse fse se frfse ssfse haste blade propeller dixon mdixon ideal flex space cube vista tfe ffe gre
    flash fl2d fl3d ir flair iso fat sat post neck head
""")
