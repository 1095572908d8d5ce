<?php

/**
 * The licences of all crates that are in the binaries, as one text; or an error if one has a licence that is not accepted here.
 *
 * usage: php packaging/licences.php OUTPUT < metadata
 *
 * "metadata" is what `cargo metadata` prints, with --filter-platform.
 */

declare(strict_types=1);

/** Each allows distribution in a binary whose own licence is MIT, if its text comes along. */
const ACCEPTED = ['MIT', 'Apache-2.0', 'ISC', 'BSD-3-Clause', 'Unicode-3.0'];

/** An SPDX expression. Older crates write a slash for OR. */
function accepts(string $expression): bool
{
    preg_match_all('~[()]|[\w.+-]+~', str_replace('/', ' OR ', $expression), $found);
    $words = $found[0];
    $any = static function () use (&$words, &$all): bool {
        $accepted = $all();
        while (($words[0] ?? '') === 'OR') {
            array_shift($words);
            $accepted = $all() || $accepted;
        }

        return $accepted;
    };
    $one = static function () use (&$words, &$any): bool {
        $word = (string) array_shift($words);
        if ($word === '(') {
            $accepted = $any();
            array_shift($words);

            return $accepted;
        }
        if (($words[0] ?? '') === 'WITH') {
            $word .= ' WITH ' . $words[1];
            array_splice($words, 0, 2);
        }

        return in_array($word, ACCEPTED, true);
    };
    $all = static function () use (&$words, &$one): bool {
        $accepted = $one();
        while (($words[0] ?? '') === 'AND') {
            array_shift($words);
            $accepted = $one() && $accepted;
        }

        return $accepted;
    };

    return $any() && $words === [];
}

/**
 * What the workspace's own crates use when they run: not what only builds or tests them.
 *
 * @return array<string, array<string, mixed>> packages by id
 */
function used(array $metadata): array
{
    $packages = array_column($metadata['packages'], null, 'id');
    $nodes = array_column($metadata['resolve']['nodes'], null, 'id');
    $used = [];
    $next = $metadata['workspace_members'];
    while ($next !== []) {
        $id = array_pop($next);
        if (isset($used[$id])) {
            continue;
        }
        $used[$id] = $packages[$id];
        foreach ($nodes[$id]['deps'] as $dependency) {
            if (in_array(null, array_column($dependency['dep_kinds'], 'kind'), true)) {
                $next[] = $dependency['pkg'];
            }
        }
    }

    return array_diff_key($used, array_flip($metadata['workspace_members']));
}

$packages = used(json_decode((string) stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR));
usort($packages, static fn (array $a, array $b) => [$a['name'], $a['version']] <=> [$b['name'], $b['version']]);
$refused = $list = $texts = [];
foreach ($packages as $package) {
    $licence = $package['license'] ?? '';
    if (!accepts($licence)) {
        $refused[] = "  $package[name] $package[version]: " . ($licence ?: 'names no licence');
    }
    $list[] = "$package[name] $package[version]: $licence";
    foreach (glob(dirname($package['manifest_path']) . '/{LICEN[CS]E,COPYING,NOTICE,UNLICENSE}*', GLOB_BRACE) ?: [] as $file) {
        if (is_file($file)) {
            $texts[trim((string) file_get_contents($file))][] = "$package[name] $package[version]";
        }
    }
}
if ($refused !== []) {
    fwrite(STDERR, "These licences are not accepted (packaging/licences.php):\n" . implode("\n", $refused) . "\n");
    exit(1);
}
$line = str_repeat('=', 100);
$text = "The binaries of amqp1 contain the crates below, and Rust's standard library, which is licensed under MIT or Apache-2.0.\n"
    . "amqp1 itself is licensed under MIT.\n\n" . implode("\n", $list) . "\n";
foreach ($texts as $licence => $of) {
    $text .= "\n$line\n" . wordwrap(implode(', ', array_unique($of)), 100) . "\n\n$licence\n";
}
file_put_contents($argv[1], $text);
echo 'Licences of ' . count($packages) . ' crates: all are accepted, ' . count($texts) . " texts\n";
