<?php

declare(strict_types=1);

namespace Amqp1\Console\Screen;

/**
 * What a terminal sends, as keys: a character, or the name of a key that has none.
 *
 * @internal
 */
final class Keys
{
    /** The last letter of a sequence, or its first number before "~". */
    private const NAMES = [
        'A' => 'up', 'B' => 'down', 'C' => 'right', 'D' => 'left', 'H' => 'home', 'F' => 'end',
        '1~' => 'home', '4~' => 'end', '5~' => 'page-up', '6~' => 'page-down', '7~' => 'home', '8~' => 'end',
        '3~' => 'delete', 'M' => 'enter',
    ];

    private const CONTROLS = [
        "\r" => 'enter', "\n" => 'enter', "\t" => 'tab', "\x7f" => 'backspace', "\x08" => 'backspace', "\x0c" => 'redraw',
        "\x03" => 'quit', "\x04" => 'quit',
    ];

    private string $begun = '';

    /** Whether more must come to tell the Escape key from the beginning of another's sequence. */
    public function isWaiting(): bool
    {
        return $this->begun !== '';
    }

    /** @return list<string> what has come to nothing else: the Escape key */
    public function give(): array
    {
        $begun = $this->begun;
        $this->begun = '';

        return str_starts_with($begun, "\e") ? ['escape'] : [];
    }

    /** @return list<string> */
    public function read(string $bytes): array
    {
        $bytes = $this->begun . $bytes;
        $this->begun = '';
        $keys = [];
        while ($bytes !== '') {
            if ($bytes[0] !== "\e") {
                if (preg_match('/^.[\x80-\xbf]*/s', $bytes, $found) !== 1) {
                    break;
                }
                if (preg_match('//u', $found[0]) !== 1 && strlen($found[0]) === strlen($bytes) && strlen($bytes) < 4) {
                    // The rest of a character is still on its way.
                    $this->begun = $bytes;
                    break;
                }
                $key = self::CONTROLS[$found[0]] ?? $found[0];
                if (preg_match('/^\P{C}+$/Du', $key) === 1) {
                    $keys[] = $key;
                }
                $bytes = substr($bytes, strlen($found[0]));
                continue;
            }
            if (preg_match('/^\e(?:\[[0-9;?]*|O)?$/D', $bytes) === 1) {
                $this->begun = $bytes;
                break;
            }
            if (preg_match('/^\e(?:\[(\d*)[\d;?]*([A-Za-z~])|O(.))/s', $bytes, $found) === 1) {
                $last = $found[3] ?? $found[2];
                $name = self::NAMES[$last === '~' ? $found[1] . '~' : $last] ?? null;
                if ($name !== null) {
                    $keys[] = $name;
                }
                $bytes = substr($bytes, strlen($found[0]));
                continue;
            }
            $keys[] = 'escape';
            $bytes = substr($bytes, 1);
        }

        return $keys;
    }
}
