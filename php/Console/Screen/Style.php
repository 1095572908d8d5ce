<?php

declare(strict_types=1);

namespace Amqp1\Console\Screen;

/**
 * What a part of a line means, and so how it looks.
 *
 * @internal
 */
enum Style
{
    case Plain;
    case Title;
    case Head;
    case Selected;
    case Dim;
    case Good;
    case Warning;
    case Bad;

    /** The parameters of a terminal's "select graphic rendition". */
    public function rendition(bool $colours): string
    {
        return match ($this) {
            self::Plain => '',
            self::Title => '1',
            self::Head => '4',
            self::Selected => '7',
            self::Dim => $colours ? '2' : '',
            self::Good => $colours ? '32' : '',
            self::Warning => $colours ? '33' : '1',
            self::Bad => $colours ? '1;31' : '1',
        };
    }
}
