"""What the page says, in English and in Korean."""

ENGLISH = {
    "language": "en",
    "title": "Ombre hair",
    "privacy": "Your pictures stay on this machine: nothing is sent anywhere, and they are removed when you close "
    "this page.",
    "upload": "Drop pictures here, or choose them (JPEG, PNG, WebP, HEIC, AVIF, BMP, TIFF)",
    "samples": "Or try one of these",
    "camera": "Take a picture with the camera",
    "gallery": "Your pictures, all with the same settings",
    "upper": "Colour",
    "lower": "Second colour, at the lower end",
    "none": "None",
    "hue": "Any hue",
    "own": "Your own colour",
    "ombre_height": "Height",
    "ombre_height_info": "how much of the hair is dyed, from its lower end",
    "ombre_grad_height": "Gradient",
    "ombre_grad_height_info": "over how much of that the dye fades in",
    "strength": "Strength",
    "strength_info": "how much of the dye takes",
    "lightness": "Lightness",
    "lightness_info": "a darker or a lighter shade",
    "reverse": "From the roots, fading downwards",
    "undo": "Undo",
    "remove": "Remove this picture",
    "command": "The same by a command, for one picture or a folder",
    "before_after": "Before and after",
    "before": "before",
    "after": "after",
    "show_found": "Show the hair that was found",
    "paint": "Mend the hair",
    "paint_off": "Look",
    "paint_add": "Paint hair in",
    "paint_out": "Paint hair out",
    "paint_help": "Drag over the picture; or move the brush with the arrow keys and press space.",
    "brush": "Brush",
    "clear": "Take all paint off",
    "download": "Download the picture",
    "download_png": "As PNG",
    "download_mask": "Download the mask",
    "download_all": "Download all",
    "no_hair": "No hair was found in this picture. You can paint it in.",
    "too_many": "There are {most} pictures already: remove some first.",
    "bad_picture": "This picture cannot be used: {reason}",
    "bad_upload": "{name} is no longer there: add it again.",
    "bad_value": "This setting is not possible.",
    "disk": "The picture could not be kept: {reason}",
    "size": "{name}, {width} x {height}",
}

KOREAN = {
    "language": "ko",
    "title": "옴브레 헤어",
    "privacy": "사진은 이 컴퓨터 밖으로 나가지 않습니다. 어디에도 전송되지 않으며, 이 페이지를 닫으면 삭제됩니다.",
    "upload": "사진을 여기에 놓거나 선택하세요 (JPEG, PNG, WebP, HEIC, AVIF, BMP, TIFF)",
    "samples": "또는 예시 사진으로 해 보세요",
    "camera": "카메라로 찍기",
    "gallery": "내 사진 (모두 같은 설정)",
    "upper": "색",
    "lower": "두 번째 색 (머리카락 끝)",
    "none": "없음",
    "hue": "색상환에서 고르기",
    "own": "원하는 색",
    "ombre_height": "높이",
    "ombre_height_info": "머리카락 끝에서부터 염색되는 비율",
    "ombre_grad_height": "그라데이션",
    "ombre_grad_height_info": "염색이 서서히 스며드는 구간의 비율",
    "strength": "세기",
    "strength_info": "염색이 드는 정도",
    "lightness": "밝기",
    "lightness_info": "더 어둡게 또는 더 밝게",
    "reverse": "뿌리부터 (아래로 옅어지게)",
    "undo": "되돌리기",
    "remove": "이 사진 빼기",
    "command": "같은 결과를 내는 명령 (사진 한 장이나 폴더에)",
    "before_after": "전후 비교",
    "before": "전",
    "after": "후",
    "show_found": "찾은 머리카락 보기",
    "paint": "머리카락 영역 고치기",
    "paint_off": "보기",
    "paint_add": "칠해서 더하기",
    "paint_out": "칠해서 빼기",
    "paint_help": "사진 위를 끌어서 칠하세요. 화살표 키로 붓을 옮기고 스페이스 키로 칠할 수도 있습니다.",
    "brush": "붓 크기",
    "clear": "칠한 것 모두 지우기",
    "download": "사진 내려받기",
    "download_png": "PNG로",
    "download_mask": "마스크 내려받기",
    "download_all": "모두 내려받기",
    "no_hair": "이 사진에서 머리카락을 찾지 못했습니다. 직접 칠해 넣을 수 있습니다.",
    "too_many": "사진이 이미 {most}장 있습니다. 먼저 몇 장을 빼 주세요.",
    "bad_picture": "이 사진은 쓸 수 없습니다: {reason}",
    "bad_upload": "{name} 파일이 더 이상 없습니다. 다시 올려 주세요.",
    "bad_value": "이 설정은 쓸 수 없습니다.",
    "disk": "사진을 보관하지 못했습니다: {reason}",
    "size": "{name}, {width} x {height}",
}

TEXTS = {"en": ENGLISH, "ko": KOREAN}


def language_of(accepted: str) -> str:
    """The language of TEXTS that a browser's Accept-Language header asks for first; English where it asks for none."""
    asked = []
    for position, part in enumerate(accepted.split(",")):
        name, _, weight = part.strip().partition(";q=")
        try:
            asked.append((-float(weight or 1), position, name[:2].lower()))
        except ValueError:
            continue
    return next((name for _, _, name in sorted(asked) if name in TEXTS), "en")
