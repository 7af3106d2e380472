//! Style sheets: written as CSS files, shrunk while compiling, adopted at run time. No `<style>`, no `style=""`.

macro_rules! sheet {
    ($name:ident, $file:literal) => {
        pub const $name: &str = {
            const SOURCE: &[u8; include_bytes!($file).len()] = include_bytes!($file);
            const SHRUNK: ([u8; SOURCE.len()], usize) = shrink(SOURCE);
            match str::from_utf8(SHRUNK.0.split_at(SHRUNK.1).0) {
                Ok(text) => text,
                Err(_) => panic!("a style sheet is not UTF-8"),
            }
        };
    };
}

#[cfg(feature = "launcher")]
sheet!(LAUNCHER, "launcher.css");
#[cfg(feature = "panel")]
sheet!(PANEL, "panel.css");

/// Drops comments, line breaks and the spaces that mean nothing. Strings in our sheets hold no double spaces or braces.
const fn shrink<const N: usize>(source: &[u8; N]) -> ([u8; N], usize) {
    let mut out = [0; N];
    let (mut read, mut len) = (0, 0);
    // Spaces around + - * / ( inside calc() and between selectors matter and stay single.
    while read < N {
        let byte = source[read];
        if byte == b'/' && read + 1 < N && source[read + 1] == b'*' {
            read += 2;
            while !(source[read] == b'*' && source[read + 1] == b'/') {
                read += 1;
            }
            read += 2;
            continue;
        }
        if byte.is_ascii_whitespace() {
            let before = if len == 0 { b'{' } else { out[len - 1] };
            let mut next = read;
            while next < N && source[next].is_ascii_whitespace() {
                next += 1;
            }
            let after = if next < N { source[next] } else { b'}' };
            // A comment behind the space needs none; any other slash is a division.
            let comment = after == b'/' && next + 1 < N && source[next + 1] == b'*';
            let colon = before == b':' && after != b'/';
            if !(tight(before) || colon || tight(after) || comment) {
                out[len] = b' ';
                len += 1;
            }
            read = next;
            continue;
        }
        if byte == b'}' && len > 0 && out[len - 1] == b';' {
            len -= 1;
        }
        out[len] = byte;
        len += 1;
        read += 1;
    }
    (out, len)
}

const fn tight(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b';' | b',' | b'>')
}
