<?php

// Compares the observations of a namespace with those of the dialect, and says where they differ.
//
// usage: php report.php OBSERVED_OF_THE_NAMESPACE OBSERVED_OF_THE_DIALECT
//
// The exit status is 0 even if they differ: the service is right, and the dialect has to change.

declare(strict_types=1);

/** @return array<string, array{saw: mixed, note: ?string}> */
function observed(string $file): array
{
    $found = [];
    foreach (file($file, FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES) as $line) {
        $one = json_decode($line, true);
        if (is_array($one) && isset($one['name'])) {
            $found[$one['name']] = ['saw' => $one['saw'] ?? null, 'note' => $one['note'] ?? null];
        }
    }

    return $found;
}

/** On one line, without secrets and without details of this namespace only. */
function told(mixed $saw): string
{
    $text = is_string($saw) ? $saw : json_encode($saw, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
    $text = preg_replace('/\s+/', ' ', (string) $text);
    foreach (secrets() as $secret => $instead) {
        $text = str_ireplace((string) $secret, $instead, $text);
    }

    return mb_strimwidth($text, 0, 600, '…');
}

/** @return array<string, string> */
function secrets(): array
{
    static $secrets = null;
    if ($secrets === null) {
        $secrets = [];
        foreach (explode(';', (string) getenv('AMQP1_LIVE_SERVICEBUS')) as $pair) {
            [$name, $value] = explode('=', $pair, 2) + [1 => ''];
            if (in_array($name, ['SharedAccessKey', 'SharedAccessSignature'], true) && $value !== '') {
                $secrets += [$value => '(key)', rawurlencode($value) => '(key)', base64_encode($value) => '(key)'];
            } elseif ($name === 'Endpoint') {
                $host = (string) parse_url($value, PHP_URL_HOST);
                $secrets += [$host => '(namespace)'];
            }
        }
    }

    return $secrets;
}

/** Objects, with sorted keys. */
function sorted(mixed $value): mixed
{
    if (is_array($value)) {
        $value = array_map('sorted', $value);
        array_is_list($value) || ksort($value);
    }

    return $value;
}

[$service, $dialect] = [observed($argv[1]), observed($argv[2])];
$names = array_keys($dialect + $service);
$counts = ['same' => 0, 'DIFFERS' => 0, 'left out' => 0];
$indent = "\n          ";
// Left out: a subject or a single observation whose entity does not exist.
$left = [];
foreach ($service as $name => $one) {
    if (str_ends_with($name, ': left out')) {
        $left[] = substr($name, 0, -strlen(': left out'));
        $counts['left out']++;
        echo 'left out  ', end($left), ': ', told($one['saw']), "\n";
    }
}
foreach ($names as $name) {
    if (preg_match('{: left out$}', $name) || array_filter($left, static fn ($of) => $name === $of || str_starts_with($name, "$of: "))) {
        continue;
    }
    $of = $service[$name] ?? null;
    $known = $dialect[$name] ?? null;
    $note = isset($of['note']) ? $indent . 'in words: ' . told($of['note']) : '';
    if ($of !== null && $known !== null && sorted($of['saw']) === sorted($known['saw'])) {
        $counts['same']++;
        echo "same      $name = ", told($of['saw']), "\n";
        continue;
    }
    $counts['DIFFERS']++;
    echo "DIFFERS:  $name", $indent, 'namespace: ', $of === null ? 'not observed' : told($of['saw']), $note,
        $indent, 'dialect:   ', $known === null ? 'not observed' : told($known['saw']), "\n";
}
echo "\n{$counts['same']} same, {$counts['DIFFERS']} different, {$counts['left out']} left out.\n";
