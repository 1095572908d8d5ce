<?php
// The process behind Proxy: passes bytes between clients and a broker, and disturbs them as it is told.
//
// usage: php proxy.php HOST:PORT        of the broker
//
// Prints `listening on HOST:PORT control HOST:PORT`. Each line to the control socket is one JSON object of settings,
// or {"do": "cut" | "reset" | "counts"}; each is answered by a line. Directions are `up` (to the broker) and `down`.

declare(strict_types=1);

/** One client, its connection to the broker, and what is on its way between them. */
final class Pair
{
    /** @var array<string, list<array{float, string}>> pending bytes, and until when */
    public array $queue = ['up' => [], 'down' => []];

    /** @var array<string, bool> the sender has ended */
    public array $ended = ['up' => false, 'down' => false];

    /** @var array<string, int> bytes that were read */
    public array $seen = ['up' => 0, 'down' => 0];

    /** The incomplete frame of a direction that is split into frames. */
    public string $partial = '';

    /** The broker uses TLS, so frames cannot be recognised. */
    public bool $opaque = false;

    /** @var array<string, bool> from here on, nothing passes in that direction, whatever is set later */
    public array $dead = ['up' => false, 'down' => false];

    /** @param Socket $client @param Socket $broker */
    public function __construct(public $client, public $broker)
    {
    }
}

final class Spoiler
{
    private const SETTINGS = [
        'swallow' => [],        // directions whose bytes are discarded from now on, and whose end is not passed on
        'stall' => [],          // directions that are not even read
        'delay' => 0.0,         // seconds, both directions
        'trickle' => null,      // [bytes, seconds]: this many at a time
        'silentAfter' => null,  // [direction, bytes]: swallowed from there on
        'silentBefore' => null, // step: nothing passes down from this step of the broker on
        'drop' => null,         // step: these frames do not pass down, others do
        'refuse' => false,      // clients are accepted and reset
        'mute' => false,        // clients are accepted, but the broker is not connected
    ];

    /** First byte of a performative's descriptor; SASL's and AMQP's do not overlap. */
    private const STEPS = [
        'sasl-header' => -1, 'mechanisms' => 0x40, 'outcome' => 0x44, 'amqp-header' => -2, 'open' => 0x10,
        'begin' => 0x11, 'attach' => 0x12, 'flow' => 0x13, 'transfer' => 0x14, 'disposition' => 0x15,
        'detach' => 0x16, 'end' => 0x17, 'close' => 0x18,
    ];

    /** @var array<string, mixed> */
    private array $settings = self::SETTINGS;

    /** @var array<int, Pair> */
    private array $pairs = [];

    /** @var array<int, Socket> accepted and left alone */
    private array $muted = [];

    private int $accepted = 0;

    /** @var Socket */
    private $listener;

    /** @var Socket */
    private $control;

    /** @var ?Socket */
    private $master = null;
    private string $commands = '';

    public function __construct(private readonly string $host, private readonly int $port)
    {
        $this->listener = self::listen();
        $this->control = self::listen();
        socket_getsockname($this->listener, $address, $ours);
        socket_getsockname($this->control, $address, $theirs);
        echo "listening on 127.0.0.1:$ours control 127.0.0.1:$theirs\n";
    }

    /** @return Socket */
    private static function listen()
    {
        $socket = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
        socket_set_option($socket, SOL_SOCKET, SO_REUSEADDR, 1);
        socket_bind($socket, '127.0.0.1', 0);
        socket_listen($socket, 128);

        return $socket;
    }

    public function run(): void
    {
        while (true) {
            $this->select();
            foreach ($this->pairs as $key => $pair) {
                $this->move($pair, 'up', $pair->broker);
                $this->move($pair, 'down', $pair->client);
                if ($this->isOver($pair)) {
                    $this->end($key);
                }
            }
        }
    }

    private function select(): void
    {
        $read = [$this->listener, $this->control];
        if ($this->master !== null) {
            $read[] = $this->master;
        }
        $write = $except = [];
        $next = microtime(true) + 3600;
        foreach ($this->pairs as $pair) {
            foreach (['up' => [$pair->client, $pair->broker], 'down' => [$pair->broker, $pair->client]] as $way => [$from, $to]) {
                // A queue of a few megabytes is enough. The sender has to hold back more.
                if (!$pair->ended[$way] && !in_array($way, $this->settings['stall'], true) && count($pair->queue[$way]) < 64) {
                    $read[] = $from;
                }
                if ($pair->queue[$way] !== []) {
                    $at = $pair->queue[$way][0][0];
                    if ($at <= microtime(true)) {
                        $write[] = $to;
                    } else {
                        $next = min($next, $at);
                    }
                }
            }
        }
        $wait = max(0.0, $next - microtime(true));
        if (!@socket_select($read, $write, $except, (int) $wait, (int) (fmod($wait, 1) * 1e6) + 500)) {
            return;
        }
        foreach ($read as $socket) {
            if ($socket === $this->listener) {
                $this->accept();
            } elseif ($socket === $this->control) {
                $this->master = socket_accept($this->control) ?: null;
            } elseif ($socket === $this->master) {
                $this->command();
            } else {
                $this->readFrom($socket);
            }
        }
    }

    private function accept(): void
    {
        $client = socket_accept($this->listener);
        if ($client === false) {
            return;
        }
        ++$this->accepted;
        if ($this->settings['mute']) {
            $this->muted[] = $client;

            return;
        }
        $broker = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
        if ($this->settings['refuse'] || !@socket_connect($broker, $this->host, $this->port)) {
            self::reset($client);

            return;
        }
        foreach ([$client, $broker] as $socket) {
            socket_set_nonblock($socket);
            socket_set_option($socket, SOL_TCP, TCP_NODELAY, 1);
        }
        $this->pairs[] = $pair = new Pair($client, $broker);
        foreach ($this->settings['swallow'] as $way) {
            $pair->dead[$way] = true;
        }
    }

    /** @param Socket $socket */
    private function readFrom($socket): void
    {
        foreach ($this->pairs as $key => $pair) {
            $way = $socket === $pair->client ? 'up' : ($socket === $pair->broker ? 'down' : null);
            if ($way === null) {
                continue;
            }
            $bytes = @socket_read($socket, 65536);
            if ($bytes === false && in_array(socket_last_error($socket), [SOCKET_EAGAIN, SOCKET_EINTR], true)) {
                return;
            }
            if ($bytes === false || $bytes === '') {
                $pair->ended[$way] = true;

                return;
            }
            $bytes = $this->spoil($pair, $way, $bytes);
            if ($bytes !== '') {
                $this->enqueue($pair, $way, $bytes);
            }

            return;
        }
    }

    private function spoil(Pair $pair, string $way, string $bytes): string
    {
        $before = $pair->seen[$way];
        $pair->seen[$way] += strlen($bytes);
        if ($pair->dead[$way]) {
            return '';
        }
        if ($way === 'down') {
            $bytes = $this->filter($pair, $bytes);
        }
        [$direction, $limit] = $this->settings['silentAfter'] ?? [null, 0];

        return $direction === $way ? substr($bytes, 0, max(0, $limit - $before)) : $bytes;
    }

    /** The broker's bytes without those that `silentBefore` and `drop` remove. */
    private function filter(Pair $pair, string $bytes): string
    {
        $pair->opaque = $pair->opaque || ($pair->seen['down'] === strlen($bytes) && $bytes[0] === "\x16");
        if ($pair->opaque) {
            return $bytes;
        }
        // Frames are followed from the first byte on, so that a setting can come at any time.
        $pair->partial .= $bytes;
        $passed = '';
        while (strlen($pair->partial) >= 8) {
            if (str_starts_with($pair->partial, 'AMQP')) {
                [$length, $step] = [8, ord($pair->partial[4]) === 3 ? -1 : -2];
            } else {
                $length = unpack('N', $pair->partial)[1];
                if (strlen($pair->partial) < $length) {
                    break;
                }
                // size, doff, type, channel; then 0x00 0x53 and the descriptor's code
                $step = $length > 10 ? ord($pair->partial[ord($pair->partial[4]) * 4 + 2]) : 0;
            }
            $frame = substr($pair->partial, 0, $length);
            $pair->partial = substr($pair->partial, $length);
            $silent = $this->settings['silentBefore'];
            $pair->dead['down'] = $pair->dead['down'] || ($silent !== null && self::STEPS[$silent] === $step);
            $drop = $this->settings['drop'];
            if (!$pair->dead['down'] && ($drop === null || self::STEPS[$drop] !== $step)) {
                $passed .= $frame;
            }
        }

        return $passed;
    }

    private function enqueue(Pair $pair, string $way, string $bytes): void
    {
        $at = microtime(true) + $this->settings['delay'];
        if ($this->settings['trickle'] === null) {
            $pair->queue[$way][] = [$at, $bytes];

            return;
        }
        [$size, $pause] = $this->settings['trickle'];
        $last = end($pair->queue[$way]);
        foreach (str_split($bytes, $size) as $piece) {
            $at = max($at, $last === false ? 0 : $last[0] + $pause);
            $pair->queue[$way][] = $last = [$at, $piece];
        }
    }

    /** @param Socket $to */
    private function move(Pair $pair, string $way, $to): void
    {
        while ($pair->queue[$way] !== [] && $pair->queue[$way][0][0] <= microtime(true)) {
            $bytes = $pair->queue[$way][0][1];
            $written = @socket_write($to, $bytes);
            if ($written === false) {
                if (socket_last_error($to) !== SOCKET_EAGAIN) {
                    $pair->queue[$way] = [];
                    $pair->ended['up'] = $pair->ended['down'] = true;
                }

                return;
            }
            if ($written < strlen($bytes)) {
                $pair->queue[$way][0][1] = substr($bytes, $written);

                return;
            }
            array_shift($pair->queue[$way]);
        }
    }

    private function isOver(Pair $pair): bool
    {
        return ($pair->ended['up'] && $pair->queue['up'] === [])
            || ($pair->ended['down'] && $pair->queue['down'] === [] && !$pair->dead['down']);
    }

    private function command(): void
    {
        $bytes = socket_read($this->master, 4096);
        if ($bytes === false || $bytes === '') {
            exit(0); // nobody is left to control this process
        }
        $this->commands .= $bytes;
        while (($end = strpos($this->commands, "\n")) !== false) {
            $command = json_decode(substr($this->commands, 0, $end), true);
            $this->commands = substr($this->commands, $end + 1);
            $answer = [];
            switch ($command['do'] ?? null) {
                case 'cut':
                    array_map($this->end(...), array_keys($this->pairs));
                    break;
                case 'reset':
                    foreach ($this->pairs as $key => $pair) {
                        self::reset($pair->client);
                        self::reset($pair->broker);
                        unset($this->pairs[$key]);
                    }
                    break;
                case 'counts':
                    $answer = ['accepted' => $this->accepted, 'open' => count($this->pairs)];
                    foreach (['up', 'down'] as $way) {
                        $answer[$way] = array_sum(array_map(static fn (Pair $pair) => $pair->seen[$way], $this->pairs));
                    }
                    break;
                default:
                    $this->settings = $command + self::SETTINGS;
                    foreach ($this->pairs as $pair) {
                        foreach ($this->settings['swallow'] as $way) {
                            $pair->dead[$way] = true;
                        }
                    }
            }
            socket_write($this->master, json_encode($answer) . "\n");
        }
    }

    private function end(int $key): void
    {
        socket_close($this->pairs[$key]->client);
        socket_close($this->pairs[$key]->broker);
        unset($this->pairs[$key]);
    }

    /** @param Socket $socket */
    private static function reset($socket): void
    {
        socket_set_option($socket, SOL_SOCKET, SO_LINGER, ['l_onoff' => 1, 'l_linger' => 0]);
        socket_close($socket);
    }
}

[$host, $port] = explode(':', $argv[1]);
(new Spoiler($host, (int) $port))->run();
