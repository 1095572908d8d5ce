<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Console\Screen\Keys;
use Amqp1\Console\Screen\Line;
use Amqp1\Console\Screen\Painter;
use Amqp1\Console\Screen\Style;
use Amqp1\Console\Text;
use Amqp1\Tests\Support\Child;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** What a terminal is told and what it says, without one: widths, lines, only what has changed, keys. */
final class ScreenTest extends TestCase
{
    public function testColumnsAreNeitherBytesNorCharacters(): void
    {
        self::assertSame([3, 3, 4, 1, 2], array_map(Text::width(...), ['abc', 'Grü', '漢字', "e\u{301}", '😀']));
        self::assertSame(['abc', 'ab…', '漢…', '漢…', '…', ''], [
            Text::cut('abc', 3), Text::cut('abcd', 3), Text::cut('漢字', 3), Text::cut('漢字漢', 4), Text::cut('ab', 1), Text::cut('ab', 0),
        ]);
        self::assertSame(['ab  ', '  ab', '漢… ', 'abc…'], [Text::fit('ab', 4), Text::fit('ab', 4, true), Text::fit('漢字字', 4), Text::fit('abcdef', 4)]);
        self::assertSame(['one two', 'threefo', 'ur', '', 'x', 'a bc', 'def'], Text::wrap("one two threefour\n\nx\na bc def", 7));
        self::assertSame(['漢', '字'], Text::wrap('漢字', 3));
        self::assertSame('Grüße漢字andmore', str_replace(' ', '', implode('', Text::wrap('Grüße 漢字 and more', 5))), 'nothing is lost');
    }

    public function testWidthsWithoutMbstring(): void
    {
        $file = var_export(dirname(__DIR__) . '/php/Console/Text.php', true);
        // -n: without modules that are not built in, as mbstring often is.
        $child = Child::command([PHP_BINARY, '-n', '-d', 'disable_functions=mb_strwidth', '-r',
            "require $file; echo implode(' ', array_map('Amqp1\\Console\\Text::width', ['abc', 'Grü', '漢字', \"e\\u{301}\", '😀']));"]);
        self::assertSame([0, '3 3 4 1 2'], [$child->wait(20), $child->output()]);
    }

    public function testALineFillsItsColumnsAndNothingInItMovesTheCursor(): void
    {
        $line = Line::of("a\e[2J\r\n", Style::Bad)->add('漢字');
        self::assertSame('a [2J 漢字', $line->text());
        self::assertSame("\e[1;31ma [2J \e[m漢字 ", $line->rendered(11, true));
        self::assertSame("\e[1ma [2J \e[m漢字 ", $line->rendered(11, false), 'without colours');
        self::assertSame("\e[1ma …\e[m", $line->rendered(3, false));
        self::assertSame("\e[7mx\e[m\e[7m  \e[m", Line::of('x', Style::Selected)->rendered(3, false), 'selected to its end');
        foreach (Style::cases() as $style) {
            self::assertStringNotContainsString('3', $style->rendition(false), 'no colour');
        }
    }

    public function testOnlyWhatHasChangedIsDrawn(): void
    {
        $painter = new Painter(false);
        self::assertSame("\e[1;1Hone\e[2;1Htwo\e[3;1H   ", $painter->changes([Line::of('one'), Line::of('two')], 3, 3));
        self::assertSame('', $painter->changes([Line::of('one'), Line::of('two')], 3, 3));
        self::assertSame("\e[2;1H2  ", $painter->changes([Line::of('one'), Line::of('2')], 3, 3));
        self::assertSame("\e[2;1H   ", $painter->changes([Line::of('one')], 3, 3), 'a line that is gone');
        self::assertSame("\e[1;1Ho…", $painter->changes([Line::of('one')], 2, 1), 'another size');
        $painter->forget();
        self::assertSame("\e[1;1Ho…", $painter->changes([Line::of('one'), Line::of('two')], 2, 1));
    }

    /** @return array<string, array{string, list<string>}> */
    public static function typed(): array
    {
        return [
            'characters' => ['qS?', ['q', 'S', '?']],
            'more than ASCII' => ['ü漢', ['ü', '漢']],
            'arrows' => ["\e[A\e[B\e[C\e[D", ['up', 'down', 'right', 'left']],
            'arrows of an application' => ["\eOA\eOB", ['up', 'down']],
            'with Shift' => ["\e[1;2A", ['up']],
            'pages' => ["\e[5~\e[6~\e[H\e[F\e[1~\e[4~", ['page-up', 'page-down', 'home', 'end', 'home', 'end']],
            'controls' => ["\r\n\t\x7f\x0c\x03", ['enter', 'enter', 'tab', 'backspace', 'redraw', 'quit']],
            'unknown' => ["\e[24~\e[?1;2c\x01x", ['x']],
            'Escape, and then another' => ["\eq", ['escape', 'q']],
            'not UTF-8' => ["\xffq", ['q']],
        ];
    }

    /**
     * @dataProvider typed
     *
     * @param list<string> $expected
     */
    #[DataProvider('typed')]
    public function testKeys(string $bytes, array $expected): void
    {
        $keys = new Keys();
        self::assertSame($expected, $keys->read($bytes));
        self::assertFalse($keys->isWaiting());
        if ($bytes === "\eq") {
            return;
        }
        $one = [];
        foreach (str_split($bytes) as $byte) {
            array_push($one, ...$keys->read($byte));
        }
        self::assertSame($expected, $one, 'byte by byte');
    }

    public function testEscapeIsAKeyWhenNothingFollows(): void
    {
        $keys = new Keys();
        self::assertSame([], $keys->read("\e"));
        self::assertTrue($keys->isWaiting());
        self::assertSame(['escape'], $keys->give());
        self::assertSame([[], false], [$keys->give(), $keys->isWaiting()]);
        self::assertSame([[], ['up']], [$keys->read("\e["), $keys->read('A')]);
    }
}
