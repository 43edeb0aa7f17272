#!/usr/bin/env bash
# FFmpeg 7.0.2 and 9.0.2, the way that most pages give to convert between the matrices of HD and SD, as JPEG of HD video needs it
# (scale=in_color_matrix=bt709:out_color_matrix=bt601): it goes through RGB of 8 bits, which has no room above white and below
# black. Highlights that cameras record there (luma 236 to 254) become 234, even in a grey picture, whose luma the matrix does
# not concern; colours inside RGB's range are up to 3 levels off. The filters colorspace and colormatrix keep both.
# Seen for grey pictures: "luma 200: scale 199, colorspace 200, colormatrix 200" and "luma 250: scale 234, colorspace 250, colormatrix 250".
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv old && old/bin/pip install --quiet imageio-ffmpeg==0.6.0
python3 -m venv new && new/bin/pip install --quiet imageio-ffmpeg==0.8.1
scale=scale=in_color_matrix=bt709:out_color_matrix=bt601:in_range=tv:out_range=tv
marks=setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709
colorspace=$marks,colorspace=iall=bt709:all=bt709:space=smpte170m:range=tv:format=yuv420p
luma() {
    python3 -c "import sys; sys.stdout.buffer.write(bytes([$2]) * 4096 + bytes([128]) * 2048)" |
        "$1" -v error -f rawvideo -pix_fmt yuv420p -s 64x64 -i - -vf "$3" -f rawvideo -pix_fmt yuv420p - |
        python3 -c 'import sys; print(sys.stdin.buffer.read()[2048])'
}
for wheel in old new; do
    binary=$($wheel/bin/python -c 'import imageio_ffmpeg as i; print(i.get_ffmpeg_exe())')
    "$binary" -version | head -1
    for expected in "200 199" "250 234"; do
        read -r level scaled <<<"$expected"
        found="scale $(luma "$binary" "$level" "$scale"), colorspace $(luma "$binary" "$level" "$colorspace")"
        found="$found, colormatrix $(luma "$binary" "$level" colormatrix=bt709:bt601)"
        echo "luma $level: $found"
        [ "$found" = "scale $scaled, colorspace $level, colormatrix $level" ]
    done
done
