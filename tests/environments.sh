#!/bin/sh
# The fast tests with the oldest and with the newest releases that pyproject.toml allows, each in an environment of its own.
# Usage: tests/environments.sh oldest|newest|both [FOLDER]    (FOLDER: for the environments, kept for the next time)
#   WSREID_TORCH=installed takes the torch, torchvision and FAISS of the calling environment: the rest is tried without
#   gigabytes of downloads. Otherwise each environment takes about 8 GB.
#   WSREID_TESTS="tests/losses tests/data" runs these alone.
set -eu
cd "$(dirname "$0")/.."
which=${1:-both}
folder=${2:-.environments}
python -m uv --version >/dev/null || python -m pip install uv # resolves the lowest releases, which pip cannot

make() { # name, resolution
    environment=$folder/$1
    mkdir -p "$folder"
    python -m uv pip compile pyproject.toml --extra test --resolution "$2" --quiet --output-file "$folder/$1.txt"
    if [ "${WSREID_TORCH:-}" = installed ]; then
        # What is installed beside the environment is seen from within; what stands in the list is installed over it.
        [ -d "$environment" ] || python -m venv "$environment"
        python -c "import site; print(site.getsitepackages()[0])" >"$(echo "$environment"/lib/python3*/site-packages)/calling.pth"
        grep -vE '^(torch|torchvision|triton|nvidia-|cuda-|faiss)' "$folder/$1.txt" >"$folder/$1-rest.txt"
        "$environment/bin/python" -m pip install --quiet --no-deps --requirement "$folder/$1-rest.txt"
    else
        [ -d "$environment" ] || python -m venv "$environment"
        python -m uv pip install --python "$environment/bin/python" --quiet --requirement "$folder/$1.txt" # 8 GB in a minute; pip takes half an hour
    fi
    "$environment/bin/python" -m pip install --quiet --no-deps --editable .
}

run() { # name, resolution
    echo "== $1"
    make "$1" "$2"
    # shellcheck disable=SC2086  # several folders
    "$folder/$1/bin/python" -m pytest -q ${WSREID_TESTS:-}
}

case $which in
oldest) run oldest lowest-direct ;;
newest) run newest highest ;;
both)
    run oldest lowest-direct
    run newest highest
    ;;
*)
    echo "usage: tests/environments.sh oldest|newest|both [FOLDER]" >&2
    exit 2
    ;;
esac
